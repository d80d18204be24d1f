#include "runtime/artifact/inspect.h"

#include "runtime/artifact/features.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

namespace llmrt {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::shared_ptr<const Artifact> open_fake() {
  ArtifactSpec spec = fake_model();
  CodeSpec other = fake_code(LLMRT_ARCH_ARM64);
  other.features = LLMRT_FEATURE_NEON | LLMRT_FEATURE_DOTPROD;
  other.variants[1].features = uint64_t(1) << 40;
  spec.segments.push_back({"cpu-b", 1, build_code(other), "arm/../64", "cpu", {}, {}, true, 0});
  auto artifact = Artifact::open_bytes(build_artifact(spec), "x");
  EXPECT_TRUE(artifact) << artifact.status().message();
  return artifact ? *artifact : nullptr;
}

TEST(Inspect, Json) {
  auto artifact = open_fake();
  ASSERT_TRUE(artifact);
  std::string json = inspect_json(*artifact);
  EXPECT_THAT(json, HasSubstr("{\"root_hash\": \"" + to_hex(artifact->root_hash()) + "\", \"targets\": [\"cpu\"], "
                              "\"tiers\": [\"fake\", \"arm/../64\"], \"quantization\": \"none\", "
                              "\"programs\": [\"step\"], \"segments\": [{\"name\": \"weights\", \"offset\": 65536, "
                              "\"bytes\": 32, \"sha256\": \"" +
                              to_hex(sha256(artifact->segment(0))) + "\", \"layout\": \"packed\""));
  EXPECT_THAT(json, HasSubstr("\"kernels\": [{\"name\": \"store\", \"target\": \"cpu\", \"features\": [], "
                              "\"tier\": \"fake\", \"id\": \"01020300000000000000000000000000\", \"first_rows\": 0, "
                              "\"last_rows\": null"));
  EXPECT_THAT(json, HasSubstr("\"features\": [\"neon\", \"dotprod\", \"bit40\"]"));
  EXPECT_THAT(json, HasSubstr("\"last_rows\": 1, "));
  EXPECT_EQ(std::count(json.begin(), json.end(), '{'), std::count(json.begin(), json.end(), '}'));
}

TEST(Inspect, Text) {
  auto artifact = open_fake();
  ASSERT_TRUE(artifact);
  std::string text = inspect_text(*artifact);
  EXPECT_THAT(text, HasSubstr(to_hex(artifact->root_hash())));
  EXPECT_THAT(text, HasSubstr("2 dispatches of 2 kernels"));
}

TEST(Inspect, ProgramsOfSeveralTargets) {
  auto artifact = Artifact::open_bytes(build_artifact(fake_model_with_two_steps()), "x");
  ASSERT_TRUE(artifact) << artifact.status().message();
  std::string text = inspect_text(**artifact);
  EXPECT_THAT(text, HasSubstr("program         step for cpu, activations int8, 2 dispatches of 2 kernels\n"));
  EXPECT_THAT(text, HasSubstr("program         step for cuda, vulkan, activations float, 2 dispatches of 2 kernels\n"));
  EXPECT_THAT(inspect_json(**artifact),
              HasSubstr("\"program_details\": [{\"name\": \"step\", \"targets\": [\"cpu\"], \"activations\": \"int8\", "
                        "\"dispatches\": 2, \"kernels\": 2, \"candidates\": 0}, {\"name\": \"step\", \"targets\": "
                        "[\"cuda\", \"vulkan\"], \"activations\": \"float\", "));
}

TEST(Inspect, DumpsEveryVariantAsAnObject) {
  auto artifact = open_fake();
  ASSERT_TRUE(artifact);
  auto folder = std::filesystem::temp_directory_path() / ("llmrt-dump-" + std::to_string(os::monotonic_ns()));
  auto count = dump_kernels(*artifact, folder.string());
  ASSERT_TRUE(count) << count.status().message();
  EXPECT_EQ(*count, 6);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 6);
  // A name out of the artifact cannot leave the folder.
  EXPECT_TRUE(std::filesystem::exists(folder / "cpu.arm____64.store.r0.01020300000000000000000000000000.o"));
  auto object =
      os::read_file((folder / "cpu.fake.score.r2.04050600000000000000000000000000.o").string(), 1 << 20);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->substr(0, 6), std::string("\x7f" "ELF\x02\x01"));
  // The machine code is in it as it stands.
  const auto code = fake_code(this_architecture()).variants[2].code;
  EXPECT_NE(object->find(std::string(code.begin(), code.end())), std::string::npos);
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(dump_kernels(*artifact, "/nowhere/at/all"));
}

TEST(Features, TiersAscend) {
  for (const TierName &tier : known_tiers())
    EXPECT_FALSE(feature_names(tier.features).empty()) << tier.name;
  EXPECT_EQ(join_feature_names(LLMRT_FEATURE_AVX2 | LLMRT_FEATURE_AVX512_VNNI), "avx2, avx512_vnni");
}

} // namespace
} // namespace llmrt
