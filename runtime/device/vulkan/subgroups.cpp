#include "runtime/device/vulkan/subgroups.h"

#include <algorithm>

namespace llmrt::vk {

namespace {

constexpr uint32_t kSmallest = 4, kWanted = 32; // threads; of a kernel's exchanges none is further than 32 apart
// Of kernels: the most that has one 128, the least 16.
constexpr uint32_t kMaxThreads = 128;
// SPIR-V
constexpr uint32_t kHeaderWords = 5, kCapability = 17, kGroupNonUniformShuffle = 65, kCooperativeMatrix = 6022;

} // namespace

SubgroupDemand SubgroupSizes::demand(uint32_t threads) const {
  uint32_t size = std::clamp(std::min(threads, kWanted), min, max);
  return {size, threads % size == 0};
}

SubgroupSizes usable_sizes(const SubgroupProperties &subgroups, const SubgroupSizeProperties &sizes) {
  bool shuffles = (subgroups.stages & kShaderStageCompute) && (subgroups.operations & kSubgroupShuffles);
  bool asks = (sizes.stages & kShaderStageCompute) && sizes.min_size >= kSmallest && sizes.max_size >= sizes.min_size;
  uint32_t smallest_asked = std::min(sizes.max_size, kWanted); // by a workgroup of kMaxThreads
  if (!shuffles || !asks || uint64_t(sizes.max_subgroups) * smallest_asked < kMaxThreads)
    return {};
  return {sizes.min_size, sizes.max_size};
}

bool multiply_bf16(std::span<const CooperativeMatrixShape> shapes) {
  return std::any_of(shapes.begin(), shapes.end(), [](const CooperativeMatrixShape &one) {
    bool size = one.m == 16 && one.n == 16 && one.k == 16;
    bool factors = one.a == kComponentBfloat16 && one.b == kComponentBfloat16;
    bool sums = one.c == kComponentFloat32 && one.result == kComponentFloat32;
    return size && factors && sums && one.scope == kScopeSubgroup;
  });
}

bool uses_subgroups(std::span<const uint32_t> module) {
  // Capabilities come first in a module.
  for (size_t at = kHeaderWords; at + 1 < module.size() && (module[at] & 0xffff) == kCapability; at += 2)
    if (module[at + 1] == kGroupNonUniformShuffle || module[at + 1] == kCooperativeMatrix)
      return true;
  return false;
}

} // namespace llmrt::vk
