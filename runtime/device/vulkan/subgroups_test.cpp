#include "runtime/device/vulkan/subgroups.h"

#include <gtest/gtest.h>

namespace llmrt::vk {
namespace {

SubgroupSizes sizes(uint32_t min, uint32_t max, uint32_t operations = 0xff, uint32_t stages = kShaderStageCompute,
                    uint32_t asking = kShaderStageCompute, uint32_t max_subgroups = 32) {
  SubgroupProperties subgroups;
  subgroups.size = max;
  subgroups.stages = stages;
  subgroups.operations = operations;
  SubgroupSizeProperties control;
  control.min_size = min;
  control.max_size = max;
  control.max_subgroups = max_subgroups;
  control.stages = asking;
  return usable_sizes(subgroups, control);
}

TEST(VulkanSubgroups, AreOfferedWhereComputeShufflesAndAsksForASize) {
  EXPECT_TRUE(sizes(8, 8).any());
  EXPECT_TRUE(sizes(32, 64, kSubgroupShuffles).any());
  EXPECT_FALSE(sizes(32, 32, 0xff & ~kSubgroupShuffles).any());
  EXPECT_FALSE(sizes(32, 32, 0xff, 0x10).any());                      // fragment shaders alone
  EXPECT_FALSE(sizes(32, 32, 0xff, kShaderStageCompute, 0).any());    // they have one size, which nobody asks for
  EXPECT_FALSE(sizes(2, 2).any());
  EXPECT_FALSE(sizes(0, 0).any());
  EXPECT_FALSE(sizes(8, 8, 0xff, 0x20, 0x20, /*max_subgroups=*/8).any()); // 64 threads, of 128
}

void expect_demand(SubgroupSizes offered, uint32_t threads, uint32_t size, bool full) {
  SubgroupDemand demand = offered.demand(threads);
  EXPECT_EQ(demand.size, size) << threads << " threads, " << offered.min << " to " << offered.max;
  EXPECT_EQ(demand.full, full) << threads << " threads, " << offered.min << " to " << offered.max;
}

TEST(VulkanSubgroups, AreAsManyThreadsAsAWorkgroupHas) {
  expect_demand({8, 8}, 16, 8, true);
  expect_demand({8, 8}, 128, 8, true);
  expect_demand({8, 32}, 16, 16, true); // of several sizes
  expect_demand({8, 32}, 128, 32, true);
  expect_demand({32, 32}, 128, 32, true);
  expect_demand({32, 32}, 16, 32, false); // a part of one
  expect_demand({32, 64}, 64, 32, true);
  expect_demand({64, 64}, 128, 64, true);
  expect_demand({64, 64}, 16, 64, false);
}

TEST(VulkanSubgroups, MultiplyBf16WhereOneProductIsWanted) {
  CooperativeMatrixShape wanted;
  wanted.m = wanted.n = wanted.k = 16;
  wanted.a = wanted.b = kComponentBfloat16;
  wanted.c = wanted.result = kComponentFloat32;
  wanted.scope = kScopeSubgroup;
  CooperativeMatrixShape narrow = wanted, halves = wanted, sums = wanted, workgroups = wanted;
  narrow.n = 8;
  halves.a = halves.b = 0;
  sums.c = sums.result = kComponentBfloat16;
  workgroups.scope = 2;
  std::vector<CooperativeMatrixShape> shapes = {narrow, halves, sums, workgroups};
  EXPECT_FALSE(multiply_bf16(shapes));
  shapes.push_back(wanted);
  EXPECT_TRUE(multiply_bf16(shapes));
  EXPECT_FALSE(multiply_bf16({}));
}

TEST(VulkanSubgroups, AModuleSaysThatItUsesThem) {
  constexpr uint32_t kCapability = 2 << 16 | 17;
  std::vector<uint32_t> module = {0x07230203, 0x10300, 0, 9, 0, kCapability, 1, kCapability, 65, 3 << 16 | 14, 0, 1};
  EXPECT_TRUE(uses_subgroups(module));
  module[8] = 4433;
  EXPECT_FALSE(uses_subgroups(module));
  module[8] = 6022; // cooperative matrices
  EXPECT_TRUE(uses_subgroups(module));
  module[7] = 2 << 16 | 18; // not a capability any more
  EXPECT_FALSE(uses_subgroups(module));
  EXPECT_FALSE(uses_subgroups(std::vector<uint32_t>{0x07230203, 0x10300, 0, 9, 0, kCapability}));
  EXPECT_FALSE(uses_subgroups({}));
}

} // namespace
} // namespace llmrt::vk
