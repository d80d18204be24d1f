// Subgroups as kernels use them. A module that exchanges values within its subgroups counts on subgroups of 4 threads and
// more, a power of two, that are threads in a row. What size they have it asks the device (the built-in SubgroupSize). One
// that multiplies matrices counts on subgroups of 32.
//
// A size that a pipeline asks for, with subgroups that are full, is the only one that Vulkan 1.1 does not leave open. That
// threads lie in subgroups in the order of their numbers is said nowhere, but every driver does it for workgroups of
// one dimension; one that does not fails the self-test at load, and llmrt takes the next tier.
#pragma once

#include "runtime/device/vulkan/vulkan_api.h"

#include <span>

namespace llmrt::vk {

// What a compute pipeline asks for: `full` where its workgroups are whole subgroups; else they are part of one.
struct SubgroupDemand {
  uint32_t size;
  bool full;
};

struct SubgroupSizes {
  uint32_t min = 0, max = 0; // that a compute pipeline may ask for; 0: none that kernels can use
  bool any() const { return max != 0; }
  // For workgroups of `threads`, a power of two: as many as there are, but no more than 32 where the device allows that.
  // Of more a kernel would make no use.
  SubgroupDemand demand(uint32_t threads) const;
};

// Those of a device that can shuffle in compute shaders and lets them ask for a size; none of another.
SubgroupSizes usable_sizes(const SubgroupProperties &subgroups, const SubgroupSizeProperties &sizes);

// One of the device's products is of 16 x 16 by 16 x 16 bf16 with sums in f32, by a subgroup.
bool multiply_bf16(std::span<const CooperativeMatrixShape> shapes);

// The SPIR-V module declares that threads of a subgroup exchange values, or multiply matrices together.
bool uses_subgroups(std::span<const uint32_t> module);

} // namespace llmrt::vk
