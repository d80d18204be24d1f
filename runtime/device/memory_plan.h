// What devices share about the memory of a step.
#pragma once

#include "runtime/artifact/polynomial.h"
#include "runtime/device/device.h"

#include <array>
#include <cstdint>

namespace llmrt {

inline constexpr int64_t kStepArrayAlignment = 64;

SymbolValues symbol_values(const Limits &limits);

// Byte offsets of the step block's arrays, each aligned to kStepArrayAlignment.
struct StepBlockLayout {
  int64_t token_ids = 0, positions = 0, sequence_index = 0, output_rows = 0, hidden_rows = 0, rope_length = 0;
  std::array<int64_t, kMaxCacheGroups> page_tables{};
  int64_t bytes = 0; // -1 if it does not fit into 63 bits
};
StepBlockLayout step_block_layout(const Limits &limits, int groups);

} // namespace llmrt
