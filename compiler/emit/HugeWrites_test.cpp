#include "compiler/emit/HugeWrites.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

TEST(HugeWrites, WritesWholePiecesOfTheFileOnce) {
  constexpr uint64_t kBegin = 3 << 16, kEnd = 5 * HugeWrites::kPieceBytes + 1000;
  std::vector<char> file(kEnd, 0);
  std::vector<std::pair<uint64_t, uint64_t>> writes;
  HugeWrites::Sink sink = [&](uint64_t offset, llvm::ArrayRef<char> bytes) {
    std::copy(bytes.begin(), bytes.end(), file.begin() + offset);
    writes.push_back({offset, offset + bytes.size()});
    return llvm::Error::success();
  };
  HugeWrites pieces(sink, kBegin, kEnd);
  auto byteAt = [](uint64_t offset) { return char(offset * 31 >> 7 | 1); };
  constexpr uint64_t kChunk = 1 << 20;
  std::vector<uint64_t> starts;
  for (uint64_t at = kBegin; at < kEnd; at += kChunk) starts.push_back(at);
  std::swap(starts[0], starts[3]); // threads finish in any order
  for (uint64_t at : starts) {
    std::vector<char> chunk;
    for (uint64_t i = at; i < std::min(at + kChunk, kEnd); ++i) chunk.push_back(byteAt(i));
    ASSERT_FALSE(bool(pieces.write(at, chunk)));
  }
  for (uint64_t i = 0; i < kEnd; ++i) ASSERT_EQ(file[i], i < kBegin ? 0 : byteAt(i)) << i;
  ASSERT_EQ(writes.size(), 6u);
  for (auto [first, last] : writes) {
    EXPECT_TRUE(first == kBegin || first % HugeWrites::kPieceBytes == 0) << first;
    EXPECT_TRUE(last == kEnd || last % HugeWrites::kPieceBytes == 0) << last;
  }
}

TEST(HugeWrites, PassesOnTheSinksError) {
  HugeWrites pieces([](uint64_t, llvm::ArrayRef<char>) { return llvm::createStringError("the disk is full"); }, 0, 4);
  EXPECT_EQ(llvm::toString(pieces.write(0, {"abcd", 4})), "the disk is full");
}

} // namespace
} // namespace llmc
