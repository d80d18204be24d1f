// Damaged metadata, as it is and with all hashes made right again: refused with a message, or run for one step by the
// device (device's own test), never a crash. Code segments stay whole: they are trusted like a program.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/inspect.h"
#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/testing/mutate.h"

#include <gtest/gtest.h>

#include <cstring>

namespace llmrt {
namespace {

using namespace testing;

size_t metadata_end(const std::vector<std::byte> &file) {
  Prefix prefix;
  std::memcpy(&prefix, file.data(), sizeof prefix);
  return size_t(prefix.metadata_offset + prefix.metadata_bytes);
}

TEST(Mutation, MetadataAsItIsIsRefused) {
  const std::vector<std::byte> good = build_artifact(fake_model());
  size_t end = metadata_end(good);
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::vector<std::byte> file = good;
    mutate(file, 0, end, seed);
    auto artifact = Artifact::open_bytes(file, "x");
    // A mutation may change nothing, or the minor version, which is not ours to refuse.
    if (std::equal(file.begin(), file.begin() + 12, good.begin()) &&
        !std::equal(file.begin() + 16, file.end(), good.begin() + 16)) {
      EXPECT_FALSE(artifact) << seed;
    }
  }
}

TEST(Mutation, MetadataWithRightHashesIsVerified) {
  ArtifactSpec model = fake_model();
  add_fake_goldens(model);
  add_fake_cuda(model);
  const std::vector<std::byte> good = build_artifact(model);
  size_t end = metadata_end(good);
  int opened = 0, refused = 0;
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    std::vector<std::byte> file = good;
    mutate(file, kPrefixBytes, end, seed);
    if (!fix_hashes(file))
      continue;
    auto artifact = Artifact::open_bytes(file, "x");
    if (artifact) {
      ++opened;
      EXPECT_FALSE(inspect_json(**artifact).empty());
      EXPECT_FALSE(inspect_text(**artifact).empty());
    } else {
      ++refused;
      EXPECT_GT(artifact.status().message().size(), 3u);
    }
  }
  // Both must happen, or the test shows nothing.
  EXPECT_GT(opened, 50);
  EXPECT_GT(refused, 500);
}

} // namespace
} // namespace llmrt
