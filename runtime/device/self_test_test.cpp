#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/self_test.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/testing/mutate.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace llmrt {
namespace {

using namespace testing;

std::shared_ptr<const Artifact> open(const ArtifactSpec &spec) {
  auto artifact = Artifact::open_bytes(build_artifact(spec), "fake.fbs");
  EXPECT_TRUE(artifact) << artifact.status().message();
  return *artifact;
}

ArtifactSpec model_with_goldens() {
  ArtifactSpec spec = fake_model();
  add_fake_goldens(spec);
  return spec;
}

// A function that returns at once, in the place of variant `index`.
std::vector<std::byte> code_without(size_t index, uint64_t features = 0) {
  CodeSpec code = fake_code(this_architecture());
  bool arm = code.architecture == LLMRT_ARCH_ARM64;
  code.variants[index].code = arm ? std::vector<uint8_t>{0xc0, 0x03, 0x5f, 0xd6} : std::vector<uint8_t>{0xc3, 0, 0, 0};
  code.features = features;
  return build_code(code);
}

TEST(SelfTest, KernelsThatAreRightPass) {
  for (LoadMode mode : {LoadMode::kAuto, LoadMode::kStatic}) {
    CpuDeviceOptions options;
    options.mode = mode;
    options.static_kernels = fake_static_kernels();
    auto tier = tested_cpu_tier(*open(model_with_goldens()), options);
    ASSERT_TRUE(tier) << tier.status().message();
    EXPECT_EQ(*tier, kFakeTier);
  }
}

TEST(SelfTest, AKernelThatIsNotLinkedIsNotAWrongOne) {
  CpuDeviceOptions options;
  options.mode = LoadMode::kStatic;
  options.static_kernels = fake_static_kernels().first(2);
  Status status = tested_cpu_tier(*open(model_with_goldens()), options).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(status.message().find("score: kernel 040506"), std::string::npos) << status.message();
}

TEST(SelfTest, EveryVariantIsTriedOnceOnAVectorOfItsRows) {
  auto artifact = open(model_with_goldens());
  auto table = CodeTable::parse(artifact->segment(1));
  std::vector<std::pair<const llmrt_kernel_entry *, int64_t>> tried;
  Status status = self_test(*artifact, *table, [&](const LoneKernel &kernel) {
    tried.emplace_back(kernel.entry, kernel.scalars[0]);
    EXPECT_TRUE(check_lone_kernel(kernel).ok());
    return Status(StatusCode::kUnsupported, "not played");
  });
  EXPECT_EQ(status.code(), StatusCode::kUnsupported); // no verdict
  EXPECT_EQ(status.message(), "store: not played");
  tried.clear();
  ArtifactSpec spec = model_with_goldens();
  spec.goldens.push_back(spec.goldens.back());
  for (GoldenSpec &golden : spec.goldens)
    golden.results.clear();
  artifact = open(spec);
  table = CodeTable::parse(artifact->segment(1));
  status = self_test(*artifact, *table, [&](const LoneKernel &kernel) {
    tried.emplace_back(kernel.entry, kernel.scalars[0]);
    return ok_status();
  });
  EXPECT_TRUE(status.ok());
  auto entries = table->entries();
  decltype(tried) expected{{&table->find(kStoreId)[0], 2}, {&table->find(kScoreId)[0], 1}, {&table->find(kScoreId)[1], 2}};
  EXPECT_EQ(tried, expected);
  EXPECT_EQ(entries.size(), 3u);
}

TEST(SelfTest, AWrongKernelIsNamedWithWhatDiffers) {
  const std::pair<size_t, const char *> planted[] = {
      {0, "kernel store for 1 or more rows failed its self-test: byte 0 is 0 and should be 3, of operand 4"},
      {1, "kernel score for 1 rows failed its self-test: value 0 is 0 and should be 3, of operand 6"},
      {2, "kernel score for 2 or more rows failed its self-test: value 0 is 0 and should be 3, of operand 6"}};
  for (auto [variant, message] : planted) {
    ArtifactSpec spec = model_with_goldens();
    spec.segments[1].bytes = code_without(variant);
    auto tier = tested_cpu_tier(*open(spec), {});
    EXPECT_EQ(tier.status().code(), StatusCode::kInternal);
    EXPECT_NE(tier.status().message().find(message), std::string::npos) << tier.status().message();
    EXPECT_NE(tier.status().message().find("--no-self-test"), std::string::npos);
  }
}

TEST(SelfTest, AnotherTierTakesItsPlace) {
  uint64_t features = detect_cpu().features;
  ASSERT_NE(features, 0u) << "a machine below every tier";
  ArtifactSpec spec = model_with_goldens();
  SegmentSpec better = spec.segments[1];
  better.name = "cpu-better";
  better.layout = "better"; // needs a feature, so it is the first choice
  better.bytes = code_without(1, features & -features);
  spec.segments.push_back(better);
  auto artifact = open(spec);
  EXPECT_EQ(*cpu_tier(*artifact, ""), "better");
  auto tier = tested_cpu_tier(*artifact, {});
  ASSERT_TRUE(tier) << tier.status().message();
  EXPECT_EQ(*tier, kFakeTier);
  CpuDeviceOptions forced;
  forced.tier = "better";
  EXPECT_NE(tested_cpu_tier(*artifact, forced).status().message().find("tier better: kernel score for 1 rows"),
            std::string::npos);
  spec.segments[1].bytes = code_without(2);
  EXPECT_NE(tested_cpu_tier(*open(spec), {}).status().message().find("tier fake: kernel score for 2 or more rows"),
            std::string::npos);
}

TEST(SelfTest, ABoundIsRelativeToTheLargestValue) {
  for (auto [error, good] : {std::pair{5e-6f, true}, {2e-5f, false}, {NAN, false}}) {
    auto artifact = open(model_with_goldens());
    auto table = CodeTable::parse(artifact->segment(1));
    Status status = self_test(*artifact, *table, [error](const LoneKernel &kernel) {
      std::span<std::byte> result = kernel.operands.back();
      if (kernel.operands.size() == 5) { // store
        int32_t ids[] = {3, 5};
        std::memcpy(result.data(), ids, sizeof ids);
        return ok_status();
      }
      const int32_t all[] = {3, 5};
      std::vector<float> logits;
      for (int64_t row = 0; row < kernel.scalars[0]; ++row)
        for (float logit : fake_logits(std::span(all).first(size_t(row) + 1)))
          logits.push_back(logit);
      logits[1] += error; // the largest is about 7.4, the bound 1e-6 of that
      std::memcpy(result.data(), logits.data(), 4 * logits.size());
      return ok_status();
    });
    EXPECT_EQ(status.ok(), good) << error << ": " << status.message();
  }
}

// What does not suit the kernels is not run, whatever it says: a file may hold anything.
TEST(SelfTest, VectorsOfOtherOperandsAreNotTried) {
  const std::function<void(GoldenSpec &)> changes[] = {
      [](GoldenSpec &g) { g.operands.pop_back(), g.results.clear(); },
      [](GoldenSpec &g) { g.operands[0].second -= 4; },
      [](GoldenSpec &g) { g.operands[0].second += 4; },
      [](GoldenSpec &g) { g.scalars.push_back(1); },
      [](GoldenSpec &g) { g.scalars[0] = -1; },
      [](GoldenSpec &g) { g.scalars[1] = INT64_MAX; },
  };
  for (const auto &change : changes) {
    ArtifactSpec spec = model_with_goldens();
    for (GoldenSpec &golden : spec.goldens)
      change(golden);
    for (size_t variant : {0, 1, 2}) {
      spec.segments[1].bytes = code_without(variant);
      EXPECT_TRUE(tested_cpu_tier(*open(spec), {}).ok());
    }
  }
  ArtifactSpec spec = model_with_goldens(); // an index that is not below its bound: the kernel is not called with it
  std::memset(spec.golden_bytes.data() + spec.goldens[0].operands[1].first, 0x7f, 4);
  EXPECT_NE(tested_cpu_tier(*open(spec), {}).status().message().find("an index that is not below"), std::string::npos);
}

// Damage to what is around the code, with all hashes right: refused, or tried without harm.
TEST(SelfTest, DamagedVectorsDoNoHarm) {
  const std::vector<std::byte> good = build_artifact(model_with_goldens());
  Prefix prefix;
  std::memcpy(&prefix, good.data(), sizeof prefix);
  int tried = 0, failed = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    std::vector<std::byte> file = good;
    mutate(file, size_t(prefix.metadata_offset), size_t(prefix.metadata_offset + prefix.metadata_bytes), seed);
    if (!fix_hashes(file))
      continue;
    auto artifact = Artifact::open_bytes(file, "damaged.fbs");
    if (!artifact)
      continue;
    ++tried;
    failed += !tested_cpu_tier(**artifact, {}).ok();
  }
  EXPECT_GT(tried, 100);
  EXPECT_GT(failed, 10);
}

} // namespace
} // namespace llmrt
