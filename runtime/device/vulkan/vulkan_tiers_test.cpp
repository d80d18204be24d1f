#include "runtime/device/vulkan/vulkan_tiers.h"

#include "runtime/abi/kernel.h"
#include "runtime/artifact/testing/fake_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrt::vk {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kStorage16 = LLMRT_FEATURE_STORAGE16, kDot = LLMRT_FEATURE_INT_DOT;
constexpr uint64_t kSize = LLMRT_FEATURE_SUBGROUP_SIZE, kShuffle = LLMRT_FEATURE_SUBGROUP_SHUFFLE;

void add_tier(llmrt::testing::ArtifactSpec &spec, const char *name, uint64_t features, uint64_t of_a_kernel = 0) {
  llmrt::testing::CodeSpec code = llmrt::testing::fake_code(LLMRT_ARCH_SPIRV);
  for (llmrt::testing::VariantSpec &variant : code.variants)
    variant.code = {3, 2, 0x23, 7};
  code.features = features;
  code.variants.back().features = of_a_kernel;
  spec.segments.push_back({std::string("code.vulkan.") + name, 1, build_code(code), name, "vulkan", {}, {}, true, 0});
}

std::shared_ptr<const Artifact> with_tiers() {
  llmrt::testing::ArtifactSpec spec = llmrt::testing::fake_model();
  add_tier(spec, "floor", 0);
  add_tier(spec, "best", kStorage16, kDot);
  add_tier(spec, "better", kStorage16);
  auto artifact = Artifact::open_bytes(build_artifact(spec), "fake.fbs");
  EXPECT_TRUE(artifact) << artifact.status().message();
  return *artifact;
}

std::string names(const llmrt::Result<std::vector<Tier>> &tiers) {
  if (!tiers)
    return "error: " + tiers.status().message();
  std::string text;
  for (const Tier &tier : *tiers)
    text += (text.empty() ? "" : " ") + tier.name;
  return text;
}

TEST(VulkanTiers, TheBestThatTheDeviceHasTheFeaturesForComesFirst) {
  auto artifact = with_tiers();
  EXPECT_EQ(names(tiers_of(*artifact)), "best better floor");
  EXPECT_EQ(names(runnable_tiers(*artifact, kStorage16 | kDot | LLMRT_FEATURE_FLOAT16, "")), "best better floor");
  EXPECT_EQ(names(runnable_tiers(*artifact, kStorage16, "")), "better floor"); // what one kernel needs counts too
  EXPECT_EQ(names(runnable_tiers(*artifact, kDot, "")), "floor");
}

TEST(VulkanTiers, SubgroupsAreTakenWhereTheyShuffleAndHaveASizeAskedFor) {
  llmrt::testing::ArtifactSpec spec = llmrt::testing::fake_model();
  add_tier(spec, "floor", 0);
  add_tier(spec, "subgroup", kStorage16 | kDot | kSize | kShuffle);
  add_tier(spec, "dot", kStorage16 | kDot);
  auto artifact = Artifact::open_bytes(build_artifact(spec), "fake.fbs");
  ASSERT_TRUE(artifact) << artifact.status().message();
  EXPECT_EQ(names(tiers_of(**artifact)), "subgroup dot floor");
  EXPECT_EQ(names(runnable_tiers(**artifact, kStorage16 | kDot | kSize | kShuffle, "")), "subgroup dot floor");
  EXPECT_EQ(names(runnable_tiers(**artifact, kStorage16 | kDot | kSize, "")), "dot floor");
  EXPECT_THAT(names(runnable_tiers(**artifact, kStorage16 | kDot | kSize, "subgroup")),
              HasSubstr("subgroup (which needs subgroup_shuffle), dot, floor"));
}

TEST(VulkanTiers, OneIsForced) {
  auto artifact = with_tiers();
  EXPECT_EQ(names(runnable_tiers(*artifact, kStorage16, "floor")), "floor");
  auto lacking = runnable_tiers(*artifact, kStorage16, "best");
  EXPECT_EQ(lacking.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(lacking.status().message(), HasSubstr("does not run tier best; the artifact has best (which needs "
                                                          "int_dot), better, floor"));
  EXPECT_THAT(names(runnable_tiers(*artifact, kStorage16, "spirv9")), HasSubstr("does not run tier spirv9"));
}

TEST(VulkanTiers, AnArtifactMayHaveNone) {
  auto artifact = Artifact::open_bytes(build_artifact(llmrt::testing::fake_model()), "fake.fbs");
  ASSERT_TRUE(artifact);
  EXPECT_TRUE(tiers_of(**artifact).empty());
  EXPECT_THAT(names(runnable_tiers(**artifact, 0, "")), HasSubstr("the artifact has none"));
}

} // namespace
} // namespace llmrt::vk
