// What SPIR-V is made for: the floor, and what it gains by a device's features.
#include "codegen/Codegen.h"
#include "codegen/vulkan/Vulkan.h"
#include "runtime/abi/kernel.h"

namespace llmc {

namespace codegen {

const std::vector<VulkanTier> &vulkanTiers() {
  static const std::vector<VulkanTier> tiers = {
      {"spirv1.3", 0},
      {"spirv1.3-storage16", LLMRT_FEATURE_STORAGE16},
      {"spirv1.3-storage16-dot", LLMRT_FEATURE_STORAGE16 | LLMRT_FEATURE_INT_DOT},
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
