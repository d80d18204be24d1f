#include "tools/llmrt/bench_work.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/schema/artifact_generated.h"

#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

TEST(StepWork, CountsWhatTheProgramReads) {
  testing::ArtifactSpec spec = testing::fake_model();
  auto artifact = Artifact::open_bytes(testing::build_artifact(spec), "fake.fbs");
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  StepWork work = step_work(**artifact, "cpu");
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

// Two dispatches that take 2 and 4 of a matrix's 6 outputs are one linear.
TEST(StepWork, ALinearInRunsCountsOnce) {
  for (const char *name : {"linear_f32", "linear_heads_f32_f32"}) {
    testing::ArtifactSpec spec = testing::fake_model();
    spec.kernels[1].name = name;
    spec.weights[0].layout = "rows16";
    spec.weights[0].rows = 6;
    spec.weights[0].columns = 5;
    auto &dispatches = spec.programs[0].dispatches;
    dispatches[1].scalars[2] = {2, testing::kOne};
    dispatches.push_back(dispatches[1]);
    dispatches[2].scalars[2] = {4, testing::kOne};
    std::vector<std::byte> file = testing::build_artifact(spec); // which does not run, and so does not open
    const schema::Artifact &meta = *schema::GetArtifact(file.data() + kPrefixBytes);
    const auto &steps = *meta.programs()->Get(0)->dispatches();
    DispatchWork first = dispatch_work(meta, *steps.Get(1)->op_as_KernelDispatch());
    DispatchWork second = dispatch_work(meta, *steps.Get(2)->op_as_KernelDispatch());
    EXPECT_DOUBLE_EQ(first.weight_bytes, double(spec.weights[0].bytes) * 2 / 6) << name;
    EXPECT_DOUBLE_EQ(first.ops, 2 * 2 * 5) << name;
    EXPECT_DOUBLE_EQ(second.ops, 2 * 4 * 5) << name;
  }
}

TEST(StepWork, AWindowBoundsWhatIsSeen) {
  StepWork work;
  work.caches = {{10, 4}, {1, 0}};
  EXPECT_EQ(work.kv_bytes_at(1), 22);
  EXPECT_EQ(work.kv_bytes_at(99), 140);
}

} // namespace
} // namespace llmrt::tool
