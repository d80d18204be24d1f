#include "tools/llmrt/bench_work.h"

#include "runtime/artifact/testing/fake_model.h"

#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

TEST(StepWork, CountsWhatTheProgramReads) {
  testing::ArtifactSpec spec = testing::fake_model();
  auto artifact = Artifact::open_bytes(testing::build_artifact(spec), "fake.fbs");
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  StepWork work = step_work(**artifact);
  double bytes = 0;
  for (const auto &weight : spec.weights)
    bytes += static_cast<double>(weight.bytes);
  EXPECT_EQ(work.weight_bytes, bytes);
  EXPECT_EQ(work.token_ops, 0) << "it has no linears";
  ASSERT_EQ(work.caches.size(), 1u);
  EXPECT_EQ(work.caches[0].bytes_per_token, 4);
  EXPECT_EQ(work.kv_bytes_at(0), 4);
  EXPECT_EQ(work.kv_bytes_at(9), 40);
}

TEST(StepWork, AWindowBoundsWhatIsSeen) {
  StepWork work;
  work.caches = {{10, 4}, {1, 0}};
  EXPECT_EQ(work.kv_bytes_at(1), 22);
  EXPECT_EQ(work.kv_bytes_at(99), 140);
}

} // namespace
} // namespace llmrt::tool
