// Names of the features of CPUs and GPUs, and of the CPU's tiers (runtime/abi/kernel.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt {

struct TierName {
  std::string_view name;
  uint32_t architecture; // llmrt_architecture
  uint64_t features;     // LLMRT_FEATURE_*
};

// All tiers this version knows, an architecture's from least to most able.
std::span<const TierName> known_tiers();

// "avx2", "avx512_vnni", ... for each bit that is set; a bit without a name is "bit<n>".
std::vector<std::string> feature_names(uint64_t features);
std::string join_feature_names(uint64_t features); // "avx2, avx512"

} // namespace llmrt
