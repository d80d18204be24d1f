// What SPIR-V is made for: the floor, and what it gains by a device's features.
#include "codegen/Codegen.h"
#include "codegen/vulkan/Vulkan.h"
#include "runtime/abi/kernel.h"

namespace llmc {

namespace codegen {

const std::vector<VulkanTier> &vulkanTiers() {
  constexpr uint64_t kDot = LLMRT_FEATURE_STORAGE16 | LLMRT_FEATURE_INT_DOT;
  constexpr uint64_t kSubgroup = kDot | LLMRT_FEATURE_SUBGROUP_SIZE | LLMRT_FEATURE_SUBGROUP_SHUFFLE;
  static const std::vector<VulkanTier> tiers = {
      {"spirv1.3", 0},
      {"spirv1.3-storage16", LLMRT_FEATURE_STORAGE16},
      {"spirv1.3-storage16-dot", kDot},
      {"spirv1.3-storage16-dot-subgroup", kSubgroup},
      {"spirv1.3-storage16-dot-subgroup-matrix", kSubgroup | LLMRT_FEATURE_MATRIX_BF16},
  };
  return tiers;
}

const VulkanTier *findVulkanTier(llvm::StringRef name) {
  for (const VulkanTier &tier : vulkanTiers())
    if (name == tier.name) return &tier;
  return nullptr;
}

} // namespace codegen

gpu::SegmentKind vulkan::segmentKind(const codegen::VulkanTier &tier) {
  return {"vulkan", tier.name, LLMRT_ARCH_SPIRV, tier.features};
}

} // namespace llmc
