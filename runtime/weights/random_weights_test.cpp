#include "runtime/weights/random_weights.h"

#include "runtime/artifact/inspect.h"
#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/testing/mutate.h"
#include "runtime/packing/half.h"
#include "runtime/packing/normal.h"
#include "runtime/packing/scheme.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace llmrt {
namespace {

using namespace testing;

std::vector<float> normals(const char *tensor, uint64_t begin, size_t count) {
  std::vector<float> values(count);
  packing::fill_normal(packing::stream_key(7, tensor), begin, 0.5f, values);
  return values;
}

constexpr uint64_t kPlainAt = 64, kTurnedAt = kPlainAt + 2 * 16 * 3 * 4, kQuantizedAt = kTurnedAt + 16 * 3 * 4;
const uint64_t kEnd = kQuantizedAt + 2 * uint64_t(packing::find_scheme("q4_g32")->chunk_bytes());

// The fake model, and a second segment of weights that are not in the file: a vector, a matrix of two tensors, one
// stored on its side, and a gate of a quantized pair.
ArtifactSpec random_model() {
  ArtifactSpec spec = fake_model();
  uint32_t segment = uint32_t(spec.segments.size());
  spec.segments.push_back({"random", 2, std::vector<std::byte>(kEnd), "packed", "", {}, {}, true, 0});
  spec.random.emplace();
  WeightSpec vector{"vector", segment, 0, 64, 1, 5}, plain{"plain", segment, kPlainAt, 2 * 16 * 3 * 4, 20, 3};
  vector.rounded = "bf16";
  vector.sources = {{"a", 0, 3, 1, false, false, false, 2, 0}, {"n", 0, 2, 1, false, false, true, 1, 0.25}};
  plain.layout = "rows16";
  plain.sources = {{"b", 10, 15, 3}, {"", 0, 5, 3, false, true}};
  WeightSpec turned{"turned", segment, kTurnedAt, 16 * 3 * 4, 4, 3};
  turned.layout = "rows16";
  turned.sources = {{"c", 2, 4, 9, true}};
  WeightSpec gate{"gate", segment, kQuantizedAt, kEnd - kQuantizedAt, 8, 40};
  gate.layout = "rows16", gate.scheme = "q4_g32", gate.element = "", gate.interleave = 16;
  gate.sources = {{"g", 0, 4, 40}, {"u", 0, 4, 40}};
  for (WeightSpec *weight : {&vector, &plain, &turned, &gate})
    spec.weights.push_back(*weight);
  return spec;
}

Result<std::shared_ptr<const Artifact>> open(const ArtifactSpec &spec) {
  return Artifact::open_bytes(build_artifact(spec), "x.fbs");
}

const float *floats(const Artifact &artifact, size_t weight) {
  return reinterpret_cast<const float *>(artifact.weight(uint32_t(fake_model().weights.size() + weight)).data());
}

TEST(RandomWeights, AreMadeWhereTheTableSays) {
  auto file = open(random_model());
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE((*file)->weight(uint32_t(fake_model().weights.size())).empty()) << "not yet";
  auto made = llmrt_random_weights.make(*file, 2);
  ASSERT_TRUE(made.ok()) << made.status().message();

  std::vector<float> a = normals("a", 0, 3);
  for (float &value : a)
    value *= 2;
  packing::round_elements("bf16", a);
  const float *vector = floats(**made, 0);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), vector));
  EXPECT_EQ(vector[3], 1.25f);
  EXPECT_EQ(vector[5], 0) << "padding";

  std::vector<float> b = normals("b", 10 * 3, 15 * 3), c = normals("c", 0, 3 * 9);
  const float *plain = floats(**made, 1), *turned = floats(**made, 2);
  for (int row = 0; row < 15; ++row)
    for (int column = 0; column < 3; ++column)
      ASSERT_EQ(plain[column * 16 + row], b[size_t(row * 3 + column)]);
  EXPECT_EQ(plain[15], 0) << "a source of zeros";
  EXPECT_EQ(plain[48 + 3], 0);
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 3; ++column)
      ASSERT_EQ(turned[column * 16 + row], c[size_t(column * 9 + 2 + row)]);

  std::vector<float> u = normals("u", 0, 4 * 40);
  u.resize(16 * 40);
  std::vector<char> packed(size_t(packing::find_scheme("q4_g32")->chunk_bytes()));
  ASSERT_EQ(packing::pack_block(*packing::find_scheme("q4_g32"), u, 40, packed), packing::PackStatus::kOk);
  const char *gate = reinterpret_cast<const char *>(floats(**made, 3));
  EXPECT_EQ(std::memcmp(gate + packed.size(), packed.data(), packed.size()), 0);
}

TEST(RandomWeights, HashesAreOfWhatComesOut) {
  ArtifactSpec spec = random_model();
  auto file = open(spec);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(verify_weights(**file, true).ok()) << "they are not there to be checked";
  auto made = llmrt_random_weights.make(*file, 1);
  ASSERT_TRUE(made.ok());
  Status status = verify_weights(**made, true);
  EXPECT_NE(status.message().find("segment random, MiB 0"), std::string::npos) << status.message();

  std::span<const std::byte> bytes = (*made)->segment(uint32_t(spec.segments.size() - 1));
  spec.segments.back().bytes.assign(bytes.begin(), bytes.end());
  auto right = open(spec);
  ASSERT_TRUE(right.ok());
  auto again = llmrt_random_weights.make(*right, 3);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(verify_weights(**again, true).ok());
  EXPECT_EQ((*again)->root_hash(), (*right)->root_hash());
}

TEST(RandomWeights, AnArtifactWithAllItsWeightsStaysAsItIs) {
  auto file = Artifact::open_bytes(build_artifact(fake_model()), "x.fbs");
  ASSERT_TRUE(file.ok());
  auto same = llmrt_random_weights.make(*file, 2);
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->get(), file->get());
}

TEST(RandomWeights, InspectSaysThatTheyAreNotThere) {
  auto file = open(random_model());
  ASSERT_TRUE(file.ok());
  EXPECT_NE(inspect_json(**file).find("\"kind\": \"random_weights\""), std::string::npos);
  EXPECT_NE(inspect_json(**file).find("\"random_seed\": 7"), std::string::npos);
  EXPECT_NE(inspect_text(**file).find("made up at load from seed 7"), std::string::npos);
}

struct Broken {
  const char *name;
  std::function<void(ArtifactSpec &)> damage;
  const char *message;
};

TEST(RandomWeights, WhatCannotBeMadeIsRefused) {
  size_t first = fake_model().weights.size();
  auto weight = [first](ArtifactSpec &spec, size_t i) -> WeightSpec & { return spec.weights[first + i]; };
  const Broken cases[] = {
      {"nothing said", [](auto &s) { s.random.reset(); }, "does not say how they are made"},
      {"element", [](auto &s) { s.random->element = "f64"; }, "does not say how they are made"},
      {"deviation", [](auto &s) { s.random->deviation = __builtin_inff(); }, "does not say how they are made"},
      {"two segments", [](auto &s) { s.segments.push_back(s.segments.back()); }, "more than one segment"},
      {"offset", [](auto &s) { s.segments.back().offset = 65536; }, "has an offset"},
      {"bytes", [](auto &s) { s.segments.back().size = UINT64_MAX; }, "more bytes than any machine"},
      {"chunks", [](auto &s) { s.segments.back().size = 5 << 20; }, "one hash for each MiB"},
      {"hash", [](auto &s) { s.segments.back().hash = false; }, "has no hash"},
      {"outside", [&](auto &s) { weight(s, 3).offset += 64; }, "does not lie in its segment"},
      {"overlap", [&](auto &s) { weight(s, 1).offset = 0; }, "overlaps the one before"},
      {"layout", [&](auto &s) { weight(s, 1).layout = "page"; }, "a layout that cannot be made"},
      {"scheme", [&](auto &s) { weight(s, 3).scheme = "q3_g32"; }, "a scheme or an element type"},
      {"element of a matrix", [&](auto &s) { weight(s, 1).element = "f8"; }, "a scheme or an element type"},
      {"rounded", [&](auto &s) { weight(s, 0).rounded = ""; }, "a scheme or an element type"},
      {"rows of a vector", [&](auto &s) { weight(s, 0).rows = 2; }, "a scheme or an element type"},
      {"rows", [&](auto &s) { weight(s, 1).rows = 33; }, "other bytes than its shape"},
      {"huge rows", [&](auto &s) { weight(s, 1).rows = uint64_t(1) << 40; }, "too large to be made"},
      {"huge columns", [&](auto &s) { weight(s, 1).columns = uint64_t(1) << 23; }, "too large to be made"},
      {"bytes of a weight", [&](auto &s) { weight(s, 2).bytes = 64; }, "other bytes than its shape"},
      {"interleave", [&](auto &s) { weight(s, 3).interleave = 8; }, "interleaved in another way"},
      {"odd halves", [&](auto &s) { weight(s, 3).rows = 7; }, "interleaved in another way"},
      {"too few rows", [&](auto &s) { weight(s, 1).sources[0].count = 14; }, "more or fewer rows"},
      {"too many rows", [&](auto &s) { weight(s, 1).sources[0].count = UINT64_MAX; }, "overflows"},
      {"first row", [&](auto &s) { weight(s, 1).sources[0].first = uint64_t(1) << 60; }, "too many rows"},
      {"width", [&](auto &s) { weight(s, 1).sources[0].tensor_columns = 4; }, "a source of another width"},
      {"turned width", [&](auto &s) { weight(s, 2).sources[0].tensor_columns = 5; }, "a source of another width"},
      {"turned overflow", [&](auto &s) { weight(s, 2).sources[0].tensor_columns = UINT64_MAX; }, "another width"},
      {"no tensor", [&](auto &s) { weight(s, 1).sources[0].tensor = ""; }, "a source without a tensor"},
      {"factor", [&](auto &s) { weight(s, 1).sources[0].scale = __builtin_nan(""); }, "not finite"},
      {"values", [&](auto &s) { weight(s, 0).values = {1, 2, 3, 4, 5}; }, "values of its own and sources"},
      {"few values", [&](auto &s) { weight(s, 0).sources.clear(), weight(s, 0).values = {1}; }, "too few of them"},
      {"values of a matrix", [&](auto &s) { weight(s, 1).values = {1}; }, "values of its own and is no vector"},
      {"no rows", [&](auto &s) { weight(s, 1).rows = 0; }, "or nothing"},
      {"an empty source", [&](auto &s) { weight(s, 1).sources.push_back({"b", 0, 0, 3}); }, "too many rows, or none"},
      {"many sources", [&](auto &s) { weight(s, 1).sources.resize(2000); }, "too many sources"},
      {"value", [&](auto &s) { weight(s, 0).sources.clear(), weight(s, 0).values = {1, 2, 3, 4, __builtin_inff()}; },
       "a value that is not finite"},
  };
  for (const Broken &broken : cases) {
    ArtifactSpec spec = random_model();
    broken.damage(spec);
    Status status = open(spec).status();
    EXPECT_FALSE(status.ok()) << broken.name;
    EXPECT_NE(status.message().find(broken.message), std::string::npos) << broken.name << ": " << status.message();
  }
}

// What the verifier lets through can be made: an error or bytes, never a crash.
TEST(RandomWeights, DamagedDescriptionsAreRefusedOrMade) {
  const std::vector<std::byte> good = build_artifact(random_model());
  Prefix prefix;
  std::memcpy(&prefix, good.data(), sizeof prefix);
  int made = 0, refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::vector<std::byte> file = good;
    mutate(file, kPrefixBytes, size_t(prefix.metadata_offset + prefix.metadata_bytes), seed);
    if (!fix_hashes(file))
      continue;
    auto artifact = Artifact::open_bytes(file, "x");
    artifact ? ++made : ++refused;
    if (artifact)
      (void)llmrt_random_weights.make(*artifact, 2).ok();
  }
  EXPECT_GT(made, 50);
  EXPECT_GT(refused, 300);
}

TEST(RandomWeights, AValueThatCannotBeExpressedIsAnError) {
  ArtifactSpec spec = random_model();
  spec.random->deviation = 3e38f;
  auto file = open(spec);
  ASSERT_TRUE(file.ok());
  Status status = llmrt_random_weights.make(*file, 2).status();
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_NE(status.message().find("x.fbs: weight "), std::string::npos) << status.message();
}

} // namespace
} // namespace llmrt
