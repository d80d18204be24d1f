// Packed bytes are part of the format: llmc writes them and llmrt makes them, each built by another compiler.
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/packing/affine_search.h"
#include "runtime/packing/group_search.h"
#include "runtime/packing/normal.h"
#include "runtime/packing/pack_weight.h"

#include <gtest/gtest.h>

#include <numeric>

namespace llmrt::packing {
namespace {

constexpr int64_t kColumns = 172;

std::string hash_of(std::span<const char> bytes) { return to_hex(sha256(std::as_bytes(bytes))); }

// Normal values, with a row of zeros, a zero and a value far out.
std::vector<float> block() {
  std::vector<float> rows(size_t(kRows * kColumns));
  fill_normal(7, 3, 0.02f, rows);
  rows[5] = 0;
  std::fill_n(rows.begin() + 3 * kColumns, kColumns, 0.0f);
  rows[7 * kColumns + 9] = 1.5f;
  return rows;
}

// The hashes are those of the bytes that llmc has always written.
TEST(Packing, EverySchemeHasTheBytesItAlwaysHad) {
  const std::pair<const char *, const char *> expected[] = {
      {"q4_g32", "cf1fe99a306879da604366ae15e0459ebc8f344fb6007d8652957bdf438ab708"},
      {"q4_g64", "f149a49aef56b2342012bd5a2a47f869c68c7d98e6b390177c935ec241f7903c"},
      {"q4_g128", "da56ebf82d5535eaedb6f5e3348104ae7035dcb6161a890a66f501f52c423aaf"},
      {"q8_g32", "b75050017976b65ce316fe1631776698cec47369cf4088dfb2d44f4e8f318914"},
      {"q8_g128", "aa8ba87fce687ee354e1d67034fb3adf75feb12cdc103d5da4c204e22645cf56"},
      {"q4a_g32", "3c962177c09804e2ca0319250e241538fa1dcab049c0901768158fccbb8a8f54"},
      {"f32", "49cd7078a4cee7e04a09f6816314956c74b89585f7b55f8555e577242bced06b"},
      {"bf16", "3914ad91df1cc823f4fc018331cc3db300ec2d5677f0aa97f3dc552c857a6d59"},
      {"f16", "335414c7bfe13390769e42b405eaa5a3e59852a1f12b48c1e6122940f3d94dee"}};
  EXPECT_EQ(std::size(expected), schemes().size() + 3);
  std::vector<float> rows = block();
  for (auto [name, hash] : expected) {
    const Scheme *scheme = find_scheme(name);
    std::vector<char> bytes(size_t(block_bytes(scheme, name, kColumns)));
    PackStatus status =
        scheme ? pack_block(*scheme, rows, kColumns, bytes) : pack_block_plain(name, rows, kColumns, bytes);
    EXPECT_EQ(status, PackStatus::kOk) << name;
    EXPECT_EQ(hash_of(bytes), hash) << name;
  }
}

constexpr float kLevels[] = {6.9f, 7.5f, 8.0f, 8.9f};
constexpr SearchPlan kPlan{-8, 7, kLevels};

TEST(Packing, EveryVectorWidthFindsTheSameScales) {
  for (float size : {1.0f, 1e-5f, 0x1p-120f, 30000.0f})
    for (int group : {32, 64, kMaxGroup}) {
      std::vector<float> values = block();
      values.resize(size_t(kRows * group));
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = i % 37 == 5 ? 0 : values[i] * size;
      float first[kRows], other[kRows];
      int8_t w[kRows * kMaxGroup], x[kRows * kMaxGroup];
      ASSERT_EQ(search_variants().front().search(kPlan, values.data(), group, first, w), PackStatus::kOk);
      for (const SearchVariant &variant : search_variants()) {
        ASSERT_EQ(variant.search(kPlan, values.data(), group, other, x), PackStatus::kOk);
        EXPECT_TRUE(std::equal(first, first + kRows, other)) << variant.name;
        EXPECT_TRUE(std::equal(w, w + kRows * group, x)) << variant.name;
      }
    }
}

// A NaN is told from a value that is too large, whichever row has which.
TEST(Packing, EveryVectorWidthRefusesTheSame) {
  std::vector<float> values = block();
  values.resize(size_t(kRows * kMaxGroup));
  float other[kRows];
  int8_t x[kRows * kMaxGroup];
  for (const SearchVariant &variant : search_variants()) {
    std::vector<float> bad = values;
    bad[2] = 1e30f, bad[14] = __builtin_nanf("");
    EXPECT_EQ(variant.search(kPlan, bad.data(), kMaxGroup, other, x), PackStatus::kNotFinite) << variant.name;
    bad[14] = 0;
    EXPECT_EQ(variant.search(kPlan, bad.data(), kMaxGroup, other, x), PackStatus::kTooLarge) << variant.name;
  }
}

TEST(Packing, EveryVectorWidthFindsTheSamePairs) {
  constexpr int kGroup = 32;
  std::vector<float> rows = block();
  uint16_t first[kRows], other[kRows];
  int8_t w[kRows * kGroup], x[kRows * kGroup];
  for (size_t at = 0; at + kRows * kGroup <= rows.size(); at += kRows * kGroup) {
    std::span<const float> values(rows.data() + at, kRows * kGroup);
    ASSERT_EQ(affine_variants().front().search(values.data(), kGroup, first, w), PackStatus::kOk);
    for (const AffineVariant &variant : affine_variants()) {
      ASSERT_EQ(variant.search(values.data(), kGroup, other, x), PackStatus::kOk);
      EXPECT_TRUE(std::equal(first, first + kRows, other)) << variant.name;
      EXPECT_TRUE(std::equal(w, w + kRows * kGroup, x)) << variant.name;
      std::vector<float> bad(values.begin(), values.end());
      bad[2] = 1e30f, bad[14] = __builtin_nanf("");
      EXPECT_EQ(variant.search(bad.data(), kGroup, other, x), PackStatus::kNotFinite) << variant.name;
      bad[14] = 0;
      EXPECT_EQ(variant.search(bad.data(), kGroup, other, x), PackStatus::kTooLarge) << variant.name;
    }
  }
}

// Row r of source s is s * 1000 + r, in every column.
class Numbered final : public RowReader {
public:
  explicit Numbered(int64_t columns) : columns_(columns) {}
  Status read(size_t source, int64_t first, int64_t count, std::span<float> out) override {
    for (int64_t i = 0; i < count * columns_; ++i)
      out[size_t(i)] = float(int64_t(source) * 1000 + first + i / columns_);
    return ok_status();
  }

private:
  int64_t columns_;
};

std::vector<float> packed_rows(const WeightForm &form) {
  Numbered reader(form.columns);
  std::vector<float> scratch, out(size_t(form.blocks() * form.block_bytes() / 4));
  std::span<char> bytes(reinterpret_cast<char *>(out.data()), out.size() * 4);
  EXPECT_TRUE(pack_blocks(form, reader, 0, form.blocks(), scratch, bytes).ok());
  return out;
}

TEST(Packing, SourcesLieOneBelowTheOther) {
  WeightForm form{false, 20, 2, false, nullptr, "f32", {{6}, {4, 1, 0, true}, {10, 2, 0.5f}}};
  std::vector<float> out = packed_rows(form);
  ASSERT_EQ(out.size(), 2 * 16 * 2u); // [block][column][row]
  EXPECT_EQ(out[5], 5);
  EXPECT_EQ(out[16 + 6], 0); // zeros
  EXPECT_EQ(out[10], 2000 * 2 + 0.5f);
  EXPECT_EQ(out[32 + 3], 2009 * 2 + 0.5f);
  EXPECT_EQ(out[32 + 4], 0); // there are 20 rows
}

TEST(Packing, InterleavedBlocksAreOfEachHalfByTurns) {
  WeightForm form{false, 36, 1, true, nullptr, "f32", {{36}}};
  std::vector<float> out = packed_rows(form);
  ASSERT_EQ(out.size(), 4 * 16u);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[16], 18);
  EXPECT_EQ(out[32 + 1], 17);
  EXPECT_EQ(out[32 + 2], 0);
  EXPECT_EQ(out[48 + 1], 35);
}

TEST(Packing, VectorsAreRoundedAndStoredAsF32) {
  WeightForm form{true, 3, 1, false, nullptr, "bf16", {{3, 1, 1000.5f}}};
  std::vector<float> out = packed_rows(form);
  ASSERT_EQ(out.size(), 16u);
  EXPECT_EQ(out[0], 1000);
  EXPECT_EQ(out[2], 1004);
  EXPECT_EQ(out[3], 0);
}

} // namespace
} // namespace llmrt::packing
