// The CPU's program "step" with everything looked up that does not change from step to step.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/code_table.h"
#include "runtime/artifact/polynomial.h"
#include "runtime/device/cpu/code_loader.h"
#include "runtime/device/device.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

// Where the memory of a step lies.
struct StepMemory {
  std::byte *arena = nullptr;
  std::byte *step_block = nullptr;
  std::array<std::byte *, kMaxCacheGroups> pools{};
};

// A scalar or the number of bytes of a copy, on a step.
struct PlannedScalar {
  int64_t value;
  schema::Symbol symbol;
};

struct PlannedVariant {
  llmrt_kernel function;
  const llmrt_kernel_entry *entry;
};

struct PlannedDispatch {
  // A kernel: its variants, operands and scalars are ranges of the plan's arrays. A copy has no variants and two
  // operands, source and destination.
  uint32_t first_variant = 0, variant_count = 0;
  uint32_t first_operand = 0, operand_count = 0;
  uint32_t first_scalar = 0, scalar_count = 0;
  const schema::Size *copy_bytes = nullptr;
};

struct DispatchPlan {
  std::vector<PlannedDispatch> dispatches;
  std::vector<PlannedVariant> variants;
  std::vector<void *> operands;
  std::vector<PlannedScalar> scalars;
};

// `memory` must be what the limits need. Fails if an offset or a scalar does not fit into 63 bits, or a kernel is not
// loaded.
Result<DispatchPlan> plan_dispatches(const Artifact &artifact, const CodeTable &table, const LoadedCode &code,
                                     const Limits &limits, const StepMemory &memory);

// The largest scratch that any dispatch of the program may ask for, rounded up to 64 bytes.
Result<int64_t> scratch_per_thread(const Artifact &artifact, const CodeTable &table, const Limits &limits);

} // namespace llmrt
