#include "runtime/base/sha256.h"
#include "runtime/base/text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmrt {
namespace {

std::string hex_of(std::string_view text, Sha256Path path, size_t piece) {
  Sha256 hash(path);
  while (!text.empty()) {
    std::string_view part = text.substr(0, piece);
    hash.update(std::as_bytes(std::span(part)));
    text.remove_prefix(part.size());
  }
  return to_hex(hash.finish());
}

class Sha256Test : public testing::TestWithParam<Sha256Path> {};

// FIPS 180-4's examples and the million 'a's of NIST's long message test.
TEST_P(Sha256Test, KnownAnswers) {
  EXPECT_EQ(hex_of("", GetParam(), 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of("abc", GetParam(), 64), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", GetParam(), 64),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(std::string(1000000, 'a'), GetParam(), 4096),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_P(Sha256Test, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += char(i * 7 + i / 256);
  for (size_t length : {55u, 56u, 57u, 63u, 64u, 65u, 119u, 120u, 128u, 1000u}) {
    std::string_view part = std::string_view(text).substr(0, length);
    std::string whole = hex_of(part, Sha256Path::kPortable, length);
    for (size_t piece : {1u, 3u, 63u, 64u, 65u, 1000u})
      EXPECT_EQ(hex_of(part, GetParam(), piece), whole) << length << " in pieces of " << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, Sha256Test, testing::Values(Sha256Path::kBest, Sha256Path::kPortable));

} // namespace
} // namespace llmrt
