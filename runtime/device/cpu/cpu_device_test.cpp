// The fake model, end to end: opened, verified, loaded in all three ways, run.
#include "runtime/device/cpu/cpu_device.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/testing/mutate.h"
#include "runtime/base/os.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>

namespace llmrt {
namespace {

using namespace testing;

class CpuDeviceTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("llmrt-device-" + std::to_string(os::monotonic_ns()));
    ASSERT_TRUE(std::filesystem::create_directory(folder_));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<const Artifact> open(const ArtifactSpec &spec) {
    std::string path = (folder_ / "model.fbs").string();
    std::vector<std::byte> file = build_artifact(spec);
    auto out = os::AtomicFile::create(path);
    EXPECT_TRUE(out && out->write(file).ok() && out->commit().ok());
    auto artifact = Artifact::open(path, {true});
    EXPECT_TRUE(artifact) << artifact.status().message();
    return artifact ? *artifact : nullptr;
  }

  std::filesystem::path folder_;
};

constexpr Limits kLimits = {8, 3, 8, 4, {6}};

// Sequence 0 has ids 1 2 3, sequence 1 has 17 ids on two pages whose order in the pool is not theirs.
void fill(Device &device, std::vector<int32_t> first, std::vector<int32_t> second, int64_t second_from) {
  StepBlock block = device.step_block();
  size_t token = 0;
  auto add = [&](const std::vector<int32_t> &ids, int32_t sequence, int64_t from) {
    for (size_t i = size_t(from); i < ids.size() && token < block.token_ids.size(); ++i, ++token) {
      block.token_ids[token] = ids[i];
      block.positions[token] = int32_t(i);
      block.sequence_index[token] = sequence;
    }
  };
  add(first, 0, 0);
  add(second, 1, second_from);
  block.page_tables[0][0] = 2;
  block.page_tables[0][4] = 5;
  block.page_tables[0][5] = 1;
}

void expect_logits(const Device &device, int64_t row, std::span<const int32_t> ids) {
  std::span<const float> got = device.logits(row);
  ASSERT_EQ(got.size(), size_t(kFakeVocabulary));
  auto wanted = fake_logits(ids);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.begin())) << "row " << row;
}

TEST_F(CpuDeviceTest, RunsInEveryLoadMode) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  for (LoadMode mode : {LoadMode::kAuto, LoadMode::kMapFile, LoadMode::kCopy, LoadMode::kStatic}) {
    for (int threads : {1, 2, 3}) {
      SCOPED_TRACE(int(mode) * 10 + threads);
      CpuDeviceOptions options;
      options.threads = threads;
      options.mode = mode;
      options.static_kernels = fake_static_kernels();
      auto device = make_cpu_device(artifact, options);
      ASSERT_TRUE(device) << device.status().message();
      EXPECT_EQ((*device)->description(),
                "cpu fake, " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"));
      Status prepared = (*device)->prepare(kLimits);
      ASSERT_TRUE(prepared.ok()) << prepared.message();
      StepBlock block = (*device)->step_block();
      std::vector<int32_t> first = {1, 2, 3}, second;
      for (int32_t i = 0; i < 17; ++i)
        second.push_back(i % 8);
      // 5 + 8 + 4 ids of the second sequence; the first one runs in the first step.
      fill(**device, first, {second.begin(), second.begin() + 5}, 0);
      block.output_rows[0] = 2;
      block.output_rows[1] = 0;
      block.output_rows[2] = 7;
      ASSERT_TRUE((*device)->run({8, 2, 3}).ok());
      expect_logits(**device, 0, first);
      expect_logits(**device, 1, std::span(first).first(1));
      expect_logits(**device, 2, std::span(second).first(5));
      fill(**device, {}, {second.begin(), second.begin() + 13}, 5);
      ASSERT_TRUE((*device)->run({8, 2, 0}).ok());
      EXPECT_TRUE((*device)->logits(0).empty());
      fill(**device, {}, second, 13);
      block.output_rows[0] = 3;
      ASSERT_TRUE((*device)->run({4, 2, 1}).ok());
      expect_logits(**device, 0, second);
    }
  }
}

TEST_F(CpuDeviceTest, GivesTheBestOfRowsOfWhichNothingElseIsWanted) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  for (int threads : {1, 3}) {
    CpuDeviceOptions options;
    options.threads = threads;
    options.static_kernels = fake_static_kernels();
    auto device = make_cpu_device(artifact, options);
    ASSERT_TRUE(device) << device.status().message();
    ASSERT_TRUE((*device)->prepare(kLimits).ok());
    EXPECT_EQ((*device)->candidate_count(), 1);
    StepBlock block = (*device)->step_block();
    ASSERT_EQ(block.whole_rows.size(), size_t(kLimits.rows));
    EXPECT_EQ(std::count(block.whole_rows.begin(), block.whole_rows.end(), 1), kLimits.rows);
    const std::vector<int32_t> ids = {1, 2, 3};
    fill(**device, ids, {}, 0);
    std::iota(block.output_rows.begin(), block.output_rows.begin() + 3, 0);
    block.whole_rows[0] = block.whole_rows[2] = 0;
    ASSERT_TRUE((*device)->run({3, 1, 3}).ok());
    EXPECT_TRUE((*device)->candidates(1).empty()); // wanted whole
    EXPECT_TRUE((*device)->candidates(3).empty()); // not in the step
    for (int64_t row : {0, 2}) {
      const std::span<const float> logits = (*device)->logits(row);
      const std::span<const Candidate> best = (*device)->candidates(row);
      ASSERT_EQ(best.size(), 1u);
      EXPECT_EQ(best[0].id, std::max_element(logits.begin(), logits.end()) - logits.begin()) << row;
      EXPECT_EQ(best[0].logit, logits[size_t(best[0].id)]) << row;
    }
  }
}

TEST_F(CpuDeviceTest, GivesHiddenStatesOfTheRowsThatAreAskedFor) {
  auto artifact = open(fake_model_with_hidden());
  ASSERT_TRUE(artifact);
  auto device = make_cpu_device(artifact, {});
  ASSERT_TRUE(device);
  Limits limits = kLimits;
  limits.hidden_rows = limits.tokens;
  ASSERT_TRUE((*device)->prepare(limits).ok());
  std::vector<int32_t> ids = {4, 5, 6};
  fill(**device, ids, {}, 0);
  StepBlock block = (*device)->step_block();
  block.output_rows[0] = 2;
  block.hidden_rows[0] = 0;
  block.hidden_rows[1] = 2;
  ASSERT_TRUE((*device)->run({3, 1, 1, 2}).ok());
  expect_logits(**device, 0, ids);
  for (size_t row : {0, 1}) { // this model's are what its logits are
    auto wanted = fake_logits(std::span(ids).first(row == 0 ? 1 : 3));
    std::span<const float> hidden = (*device)->hidden(int64_t(row));
    EXPECT_TRUE(std::equal(hidden.begin(), hidden.end(), wanted.begin(), wanted.end())) << row;
  }
  EXPECT_TRUE((*device)->hidden(2).empty());
  block.hidden_rows[1] = 3;
  EXPECT_FALSE((*device)->run({3, 1, 1, 2}).ok()) << "no such token";
  ASSERT_TRUE((*device)->run({3, 1, 1, 0}).ok());
  EXPECT_TRUE((*device)->hidden(0).empty());
  auto plain = make_cpu_device(artifact, {});
  ASSERT_TRUE(plain && (*plain)->prepare(kLimits).ok());
  EXPECT_FALSE((*plain)->run({3, 1, 1, 1}).ok()) << "prepared for none";
}

TEST_F(CpuDeviceTest, CopiesPagesInAllLayers) {
  ArtifactSpec spec = fake_model();
  auto artifact = open(spec);
  ASSERT_TRUE(artifact);
  auto device = make_cpu_device(artifact, {});
  ASSERT_TRUE(device);
  ASSERT_TRUE((*device)->prepare(kLimits).ok());
  std::vector<int32_t> ids = {4, 5, 6};
  fill(**device, ids, {}, 0);
  ASSERT_TRUE((*device)->run({3, 1, 0}).ok());
  ASSERT_TRUE((*device)->copy_page(0, 2, 4).ok());
  StepBlock block = (*device)->step_block();
  block.page_tables[0][0] = 4;
  block.token_ids[0] = 7;
  block.positions[0] = 3;
  block.output_rows[0] = 0;
  ASSERT_TRUE((*device)->run({1, 1, 1}).ok());
  ids.push_back(7);
  expect_logits(**device, 0, ids);
  for (auto [group, from, to] : {std::array{0, 0, 6}, {0, -1, 1}, {1, 0, 1}})
    EXPECT_FALSE((*device)->copy_page(group, from, to).ok());
}

TEST_F(CpuDeviceTest, RefusesStepsOutOfBounds) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  auto device = make_cpu_device(artifact, {});
  ASSERT_TRUE(device);
  EXPECT_FALSE((*device)->run({1, 1, 1}).ok()) << "before prepare()";
  ASSERT_TRUE((*device)->prepare(kLimits).ok());
  EXPECT_FALSE((*device)->prepare(kLimits).ok()) << "twice";
  EXPECT_TRUE((*device)->run({1, 1, 1}).ok());
  EXPECT_FALSE((*device)->run({9, 1, 1}).ok());
  EXPECT_FALSE((*device)->run({1, 4, 1}).ok());
  EXPECT_FALSE((*device)->run({1, 1, -1}).ok());
  StepBlock block = (*device)->step_block();
  struct Bad {
    int32_t *where, value;
  };
  for (Bad bad : {Bad{&block.token_ids[0], 8}, Bad{&block.positions[0], 64}, Bad{&block.positions[0], -1},
                  Bad{&block.sequence_index[0], 1}, Bad{&block.output_rows[0], 1}, Bad{&block.page_tables[0][0], 6}}) {
    int32_t before = *bad.where;
    *bad.where = bad.value;
    EXPECT_EQ((*device)->run({1, 1, 1}).code(), StatusCode::kInvalidArgument) << bad.value;
    *bad.where = before;
  }
  EXPECT_TRUE((*device)->run({1, 1, 1}).ok());
}

TEST_F(CpuDeviceTest, RefusesLimitsThatCannotBe) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  for (Limits limits : {Limits{0, 1, 1, 1, {1}}, Limits{1, 1, 1, 1, {0}}, Limits{1, int64_t(1) << 40, 1, 1, {1}}}) {
    auto device = make_cpu_device(artifact, {});
    ASSERT_TRUE(device);
    EXPECT_EQ((*device)->prepare(limits).code(), StatusCode::kInvalidArgument);
  }
  auto device = make_cpu_device(artifact, {});
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->prepare({1, INT32_MAX, 1, INT32_MAX, {1}}).code(), StatusCode::kExhausted);
}

TEST_F(CpuDeviceTest, TiersAreChosenByFeatures) {
  ArtifactSpec spec = fake_model();
  CodeSpec impossible = fake_code(this_architecture());
  impossible.features = uint64_t(1) << 63;
  CodeSpec foreign = fake_code(this_architecture() == LLMRT_ARCH_ARM64 ? LLMRT_ARCH_X86_64 : LLMRT_ARCH_ARM64);
  spec.segments.push_back({"cpu-b", 1, build_code(impossible), "impossible", "cpu", {}, {}, true, 0});
  spec.segments.push_back({"cpu-c", 1, build_code(foreign), "foreign", "cpu", {}, {}, true, 0});
  auto artifact = open(spec);
  ASSERT_TRUE(artifact);
  EXPECT_EQ(*cpu_tier(*artifact, ""), "fake");
  EXPECT_EQ(*cpu_tier(*artifact, "native"), "fake");
  for (const char *tier : {"impossible", "foreign", "x86-64-v3"}) {
    CpuDeviceOptions options;
    options.tier = tier;
    auto device = make_cpu_device(artifact, options);
    ASSERT_FALSE(device) << tier;
    EXPECT_EQ(device.status().code(), StatusCode::kUnsupported);
    EXPECT_NE(device.status().message().find("fake, impossible, foreign"), std::string::npos)
        << device.status().message();
  }
}

TEST_F(CpuDeviceTest, StaticKernelsMustBeThere) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  CpuDeviceOptions options;
  options.mode = LoadMode::kStatic;
  options.static_kernels = fake_static_kernels().first(2);
  auto device = make_cpu_device(artifact, options);
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->prepare(kLimits).code(), StatusCode::kNotFound);
}

TEST_F(CpuDeviceTest, ArtifactsInMemoryRunFromACopy) {
  std::vector<std::byte> file = build_artifact(fake_model());
  auto artifact = Artifact::open_bytes(file, "memory");
  ASSERT_TRUE(artifact) << artifact.status().message();
  CpuDeviceOptions options;
  options.mode = LoadMode::kMapFile;
  EXPECT_FALSE(make_cpu_device(*artifact, options));
  options.mode = LoadMode::kAuto;
  EXPECT_TRUE(make_cpu_device(*artifact, options));
}

TEST_F(CpuDeviceTest, PlansMemoryByTheFormulas) {
  auto artifact = open(fake_model());
  ASSERT_TRUE(artifact);
  auto scratch = cpu_scratch_per_thread(*artifact, "", kLimits);
  ASSERT_TRUE(scratch);
  EXPECT_EQ(*scratch, 64);
  MemoryPlan plan = plan_memory(*artifact, "cpu", kLimits, 2, *scratch);
  EXPECT_EQ(plan.arena_bytes, 64 + 4 * 8 * 8);
  EXPECT_EQ(plan.scratch_bytes, 128);
  EXPECT_EQ(plan.pool_bytes[0], 6 * 64);
  EXPECT_EQ(plan.bytes_per_page[0], 64);
  EXPECT_EQ(plan.step_block_bytes, 6 * 64 + 0 * 64);
}

TEST_F(CpuDeviceTest, RunsItsOwnStepInItsOwnArena) {
  auto artifact = open(fake_model_with_two_steps());
  ASSERT_TRUE(artifact);
  EXPECT_EQ(plan_memory(*artifact, "cpu", kLimits, 1, 0).arena_bytes, 64 + 4 * 8 * 8);
  EXPECT_EQ(plan_memory(*artifact, "cuda", kLimits, 1, 0).arena_bytes, 64 + 8 * 8 * 8);
  auto device = make_cpu_device(artifact, {});
  ASSERT_TRUE(device) << device.status().message();
  EXPECT_EQ((*device)->target(), "cpu");
  ASSERT_TRUE((*device)->prepare(kLimits).ok());
  fill(**device, {1, 2, 3}, {}, 0);
  (*device)->step_block().output_rows[0] = 2;
  ASSERT_TRUE((*device)->run({3, 1, 1}).ok());
  expect_logits(**device, 0, std::array<int32_t, 3>{1, 2, 3});
}

TEST_F(CpuDeviceTest, ProfilesDispatchesAndCopies) {
  ArtifactSpec spec = fake_model();
  // A copy of the logits to where they are: it changes nothing, and runs.
  DispatchSpec copy;
  copy.type = 2;
  copy.operands = {{0, 0, 0, {}}, {0, 0, 0, {}}};
  copy.bytes = {{4 * kFakeVocabulary, kRows}};
  spec.programs[0].dispatches.push_back(copy);
  auto artifact = open(spec);
  ASSERT_TRUE(artifact);
  CpuProfile profile;
  CpuDeviceOptions options;
  options.profile = &profile;
  auto device = make_cpu_device(artifact, options);
  ASSERT_TRUE(device);
  ASSERT_TRUE((*device)->prepare(kLimits).ok());
  ASSERT_TRUE((*device)->run({1, 1, 1}).ok());
  ASSERT_TRUE((*device)->run({1, 1, 0}).ok());
  ASSERT_EQ(profile.rows.size(), 3u);
  EXPECT_EQ(profile.rows[0].label, "store");
  EXPECT_EQ(profile.rows[2].kernel, "copy");
  EXPECT_EQ(profile.rows[1].runs, 2u);
}

// Damaged metadata whose hashes were made right again: refused, or run for one step. Nothing in between.
TEST_F(CpuDeviceTest, MutantsAreRefusedOrRun) {
  int ran = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    std::vector<std::byte> file = build_artifact(seed < 2000 ? fake_model() : fake_model_with_two_steps());
    Prefix prefix;
    std::memcpy(&prefix, file.data(), sizeof prefix);
    mutate(file, kPrefixBytes, kPrefixBytes + prefix.metadata_bytes, seed);
    if (!fix_hashes(file))
      continue;
    auto artifact = Artifact::open_bytes(file, "mutant");
    if (!artifact)
      continue;
    CpuDeviceOptions options;
    options.threads = 1;
    options.mode = seed % 2 == 0 ? LoadMode::kCopy : LoadMode::kStatic;
    options.static_kernels = fake_static_kernels();
    auto device = make_cpu_device(*artifact, options);
    if (!device || !(*device)->prepare(kLimits).ok())
      continue;
    fill(**device, {1, 2, 3}, {}, 0);
    (*device)->step_block().output_rows[0] = 2;
    ran += (*device)->run({3, 1, 1}).ok();
  }
  EXPECT_GT(ran, 40);
}

} // namespace
} // namespace llmrt
