#include "runtime/artifact/artifact.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace llmrt {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Status open(std::span<const std::byte> file, bool weights = false) {
  return Artifact::open_bytes(file, "x.fbs", {weights}).status();
}

TEST(Artifact, Opens) {
  std::vector<std::byte> file = build_artifact(fake_model());
  auto artifact = Artifact::open_bytes(file, "x.fbs", {true});
  ASSERT_TRUE(artifact) << artifact.status().message();
  EXPECT_EQ((*artifact)->path(), "x.fbs");
  EXPECT_EQ((*artifact)->bytes().size(), file.size());
  EXPECT_EQ((*artifact)->segment(0).size(), 32u);
  EXPECT_EQ((*artifact)->segment_offset(0), 65536u);
  EXPECT_EQ((*artifact)->weight(0).data(), (*artifact)->segment(0).data());
  EXPECT_EQ((*artifact)->file_descriptor(), -1);
  // The name of the artifact, computed from the definition.
  Sha256 hash;
  hash.update(std::span<const uint8_t>(parse_prefix(file)->metadata_sha256));
  for (uint32_t i = 0; i < 2; ++i) {
    Sha256Digest segment = sha256((*artifact)->segment(i));
    hash.update(std::span<const uint8_t>(segment));
  }
  EXPECT_EQ((*artifact)->root_hash(), hash.finish());
}

TEST(Artifact, OpensAFile) {
  auto path = std::filesystem::temp_directory_path() / ("llmrt-open-" + std::to_string(os::monotonic_ns()));
  EXPECT_EQ(Artifact::open(path.string()).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(Artifact::open(std::filesystem::temp_directory_path().string()));
  auto out = os::AtomicFile::create(path.string());
  ASSERT_TRUE(out && out->write(build_artifact(fake_model())).ok() && out->commit().ok());
  auto artifact = Artifact::open(path.string(), {true});
  ASSERT_TRUE(artifact) << artifact.status().message();
  EXPECT_GE((*artifact)->file_descriptor(), 0);
  std::filesystem::remove(path);
}

TEST(Artifact, CutOffAnywhere) {
  std::vector<std::byte> file = build_artifact(fake_model());
  for (size_t bytes : {0, 1, 127, 128, 200, 4096, 65535, 65536, 65540, 131072, int(file.size()) - 1}) {
    Status status = open(std::span(file).first(bytes));
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << bytes;
    // The same with a length that is made right again: the verifier is what refuses.
    std::vector<std::byte> mended(file.begin(), file.begin() + std::ptrdiff_t(bytes));
    (void)fix_hashes(mended);
    EXPECT_EQ(open(mended).code(), StatusCode::kCorrupt) << bytes;
  }
  file.resize(file.size() + 1);
  EXPECT_THAT(open(file).message(), HasSubstr("should have"));
  ASSERT_TRUE(fix_hashes(file));
  EXPECT_THAT(open(file).message(), HasSubstr("end with the file"));
}

TEST(Artifact, PrefixIsChecked) {
  auto with = [](size_t at, uint8_t value) {
    std::vector<std::byte> file = build_artifact(fake_model());
    file[at] = std::byte(value);
    return open(file);
  };
  EXPECT_THAT(with(0, 'X').message(), HasSubstr("LLMRTART"));
  EXPECT_EQ(with(8, 2).code(), StatusCode::kUnsupported);
  EXPECT_THAT(with(8, 2).message(), HasSubstr("version 2." + std::to_string(kFormatMinor)));
  EXPECT_TRUE(with(12, 77).ok()) << "a newer minor version is read";
  EXPECT_THAT(with(16 + 4, 1).message(), HasSubstr("should have"));
  EXPECT_THAT(with(24, 129).message(), HasSubstr("metadata does not lie"));
  EXPECT_THAT(with(24 + 7, 0xFF).message(), HasSubstr("metadata does not lie"));
  EXPECT_THAT(with(32 + 5, 1).message(), HasSubstr("metadata does not lie"));
  EXPECT_THAT(with(40, 0).message(), HasSubstr("hash"));
  EXPECT_THAT(with(100, 1).message(), HasSubstr("reserved"));
}

TEST(Artifact, DamageIsFound) {
  std::vector<std::byte> file = build_artifact(fake_model());
  auto flipped = [&](size_t at) {
    std::vector<std::byte> copy = file;
    copy[at] ^= std::byte(0x10);
    return copy;
  };
  EXPECT_THAT(open(flipped(kPrefixBytes + 40)).message(), HasSubstr("metadata is not what its hash says"));
  EXPECT_THAT(open(flipped(60000)).message(), HasSubstr("padding"));
  EXPECT_THAT(open(flipped(131072 + 100)).message(), HasSubstr("bytes are not what its hash says"));
  // Weights are checked only when asked for.
  EXPECT_TRUE(open(flipped(65536 + 5)).ok());
  Status status = open(flipped(65536 + 5), true);
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_THAT(status.message(), HasSubstr("MiB 0"));
}

TEST(Artifact, WeightsAreHashedByTheMiB) {
  ArtifactSpec spec = fake_model();
  spec.segments[0].bytes.resize((5 << 20) / 2);
  std::vector<std::byte> file = build_artifact(spec);
  auto whole = Artifact::open_bytes(file, "x", {true});
  ASSERT_TRUE(whole) << whole.status().message();
  std::vector<uint64_t> told;
  EXPECT_TRUE(verify_weights(**whole, false, [&](uint64_t done, uint64_t total) {
                EXPECT_EQ(total, uint64_t(5 << 20) / 2);
                told.push_back(done);
                return true;
              }).ok());
  EXPECT_EQ(told, (std::vector<uint64_t>{0, 1 << 20, 2 << 20}));
  EXPECT_EQ(verify_weights(**whole, false, [](uint64_t, uint64_t) { return false; }).code(), StatusCode::kCancelled);
  file[65536 + (2 << 20) + 17] ^= std::byte(1);
  auto damaged = Artifact::open_bytes(file, "x");
  ASSERT_TRUE(damaged);
  EXPECT_THAT(verify_weights(**damaged, false).message(), HasSubstr("MiB 2"));
}

TEST(Artifact, FlatbufferMustBeOne) {
  std::vector<std::byte> file = build_artifact(fake_model());
  // The identifier LLMA stands at bytes 4 to 7 of the metadata; the root's offset before it.
  for (size_t at : {kPrefixBytes + 4, kPrefixBytes + 3}) {
    std::vector<std::byte> copy = file;
    copy[at] ^= std::byte(0x40);
    ASSERT_TRUE(fix_hashes(copy));
    EXPECT_THAT(open(copy).message(), HasSubstr("well-formed flatbuffer"));
  }
}

} // namespace
} // namespace llmrt
