#include "codegen/schemes/Scheme.h"
#include "runtime/packing/group_search.h"
#include "runtime/packing/affine_search.h"
#include "runtime/packing/half.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Endian.h"
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

using namespace llmc;
using packing::kRows;

namespace {

enum class Kind { Normal, HeavyTails, Uniform, FewValues, Tiny, Large };
constexpr Kind kKinds[] = {Kind::Normal, Kind::HeavyTails, Kind::Uniform, Kind::FewValues, Kind::Tiny, Kind::Large};

std::vector<float> makeRows(Kind kind, int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02f);
  std::student_t_distribution<float> tails(3);
  std::uniform_real_distribution<float> uniform(-0.7f, 0.7f);
  std::vector<float> rows(count);
  for (float &value : rows) switch (kind) {
    case Kind::Normal: value = normal(random); break;
    case Kind::HeavyTails: value = tails(random); break;
    case Kind::Uniform: value = uniform(random); break;
    case Kind::FewValues: value = float(int(random() % 3) - 1) * 0.25f; break;
    case Kind::Tiny: value = normal(random) * 1e-5f; break;
    case Kind::Large: value = uniform(random) * 600000.0f; break;
    }
  return rows;
}

std::vector<char> pack(const Scheme &scheme, llvm::ArrayRef<float> rows, int64_t columns) {
  std::vector<char> block(scheme.chunks(columns) * scheme.chunk_bytes());
  EXPECT_EQ(packing::pack_block(scheme, rows, columns, block), PackStatus::kOk) << scheme.name;
  return block;
}

std::vector<float> unpack(const Scheme &scheme, llvm::ArrayRef<char> block, int64_t columns) {
  std::vector<float> rows(kRows * columns);
  packing::unpack_block(scheme, block, columns, rows);
  return rows;
}

double squaredError(llvm::ArrayRef<float> x, llvm::ArrayRef<float> y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum;
}

// The usual scale, absmax / highest as an f16, and its rounding.
double plainError(const Scheme &scheme, llvm::ArrayRef<float> x) {
  float largest = 0, highest = scheme.bits == 4 ? 7 : 127, lowest = scheme.bits == 4 ? -8 : -127;
  for (float value : x) largest = std::max(largest, std::fabs(value));
  float scale = packing::f16_to_f32(packing::f32_to_f16(largest / highest));
  double sum = 0;
  for (float value : x) {
    float w = scale == 0 ? 0 : std::nearbyint(std::clamp(value / scale, lowest, highest));
    double difference = double(value) - double(scale) * w;
    sum += difference * difference;
  }
  return sum;
}

TEST(Schemes, RegistryKnowsItsRows) {
  for (const char *name : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128", "q4a_g32"}) {
    const Scheme *scheme = findScheme(name);
    ASSERT_NE(scheme, nullptr) << name;
    EXPECT_STREQ(scheme->name, name);
    EXPECT_EQ(scheme->chunk_bytes(), 64 + 2 * scheme->group * scheme->bits * 2);
    EXPECT_LE(scheme->group, packing::kMaxGroup);
  }
  EXPECT_EQ(findScheme("none"), nullptr);
  EXPECT_EQ(findScheme("q4_g33"), nullptr);
  EXPECT_EQ(findScheme("q4a_g64"), nullptr);
  EXPECT_EQ(schemes().size(), 6u);
}

// The layout as docs/kernels.md states it, read back with nothing but that page.
TEST(Schemes, BytesLieAsDocumented) {
  for (const Scheme &scheme : schemes()) {
    int64_t columns = 172;
    std::vector<float> rows = makeRows(Kind::Normal, kRows * columns, 3);
    std::vector<char> block = pack(scheme, rows, columns);
    std::vector<float> values = unpack(scheme, block, columns);
    for (int64_t k = 0; k < scheme.chunks(columns) * scheme.columns_per_chunk(); ++k)
      for (int r = 0; r < kRows; ++r) {
        const char *chunk = block.data() + k / (2 * scheme.group) * scheme.chunk_bytes();
        int inChunk = int(k % (2 * scheme.group));
        uint16_t code = llvm::support::endian::read16le(chunk + (inChunk / scheme.group) * 32 + 2 * r);
        float scale = scheme.affine ? std::ldexp(1 + float(code & 31) / 32, int(code >> 5 & 31) - 20)
                                    : packing::f16_to_f32(code);
        float offset = scheme.affine ? float(int(code >> 10) - 32) / 8 : 0;
        int perLine = scheme.bits == 4 ? 8 : 4, line = inChunk / perLine, place = inChunk % perLine;
        uint8_t byte = uint8_t(chunk[64 + 64 * line + 4 * r + place % 4]);
        int u = scheme.bits == 8 ? byte : place < 4 ? byte & 15 : byte >> 4;
        if (k < columns) ASSERT_EQ(values[r * columns + k], (float(u - scheme.zero) + offset) * scale);
        else if (!scheme.affine) ASSERT_EQ(u, scheme.zero) << "a padded column";
      }
  }
}

TEST(Schemes, NeverWorseThanAbsmax) {
  for (const Scheme &scheme : schemes())
    for (Kind kind : kKinds) {
      if (scheme.affine) continue; // its scales are coarser than an f16's: see AffineTriesTheSymmetricPair
      int64_t columns = 3 * scheme.group;
      std::vector<float> rows = makeRows(kind, kRows * columns, 11);
      if (kind == Kind::Large && scheme.bits == 4)
        for (float &value : rows) value = std::clamp(value, -458000.0f, 458000.0f);
      std::vector<float> values = unpack(scheme, pack(scheme, rows, columns), columns);
      for (int64_t first = 0; first < kRows * columns; first += scheme.group) {
        llvm::ArrayRef<float> x = llvm::ArrayRef(rows).slice(first, scheme.group);
        double ours = squaredError(x, llvm::ArrayRef(values).slice(first, scheme.group));
        // absmax / 7 is rounded with a division there and with a reciprocal here: a tie may fall the other way.
        ASSERT_LE(ours, plainError(scheme, x) * (1 + 1e-6)) << scheme.name << " kind " << int(kind);
      }
    }
}

// Against every f16 scale of both signs: the search is near the optimum, not only better than absmax.
TEST(Schemes, NearTheBestScale) {
  const Scheme &scheme = *findScheme("q4_g32");
  int64_t columns = 64;
  double ours = 0, best = 0;
  std::vector<float> rows = makeRows(Kind::Normal, kRows * columns, 5);
  std::vector<float> values = unpack(scheme, pack(scheme, rows, columns), columns);
  for (int64_t first = 0; first < kRows * columns; first += scheme.group) {
    llvm::ArrayRef<float> x = llvm::ArrayRef(rows).slice(first, scheme.group);
    ours += squaredError(x, llvm::ArrayRef(values).slice(first, scheme.group));
    double least = HUGE_VAL;
    for (uint16_t half = packing::f32_to_f16(0.0005f); half < packing::f32_to_f16(0.02f); ++half)
      for (float scale : {packing::f16_to_f32(half), -packing::f16_to_f32(half)}) {
        double sum = 0;
        for (float value : x) {
          double difference = double(value) - double(scale) * std::nearbyint(std::clamp(value / scale, -8.0f, 7.0f));
          sum += difference * difference;
        }
        least = std::min(least, sum);
      }
    best += least;
  }
  EXPECT_GE(ours, best * (1 - 1e-6));
  EXPECT_LE(ours, best * 1.005);
}

// Without an offset, the largest magnitude at 7 and the scale as it can be stored: one of the pairs that are tried.
std::vector<float> symmetricPair(llvm::ArrayRef<float> x) {
  float largest = 0x1p-20f * 7;
  for (float value : x) largest = std::max(largest, std::fabs(value));
  int exponent;
  float fraction = std::frexp(largest * (1.0f / 7.0f), &exponent);
  float scale = std::ldexp(std::nearbyint(fraction * 64) / 64, exponent);
  std::vector<float> rounded;
  for (float value : x) rounded.push_back(scale * std::nearbyint(std::clamp(value * (1 / scale), -8.0f, 7.0f)));
  return rounded;
}

// Squared errors as the affine search counts them.
double countedError(llvm::ArrayRef<float> x, llvm::ArrayRef<float> y) {
  double sum = 0, mean = 0;
  for (float value : x) mean += std::fabs(double(value)) / double(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    sum += (std::fabs(x[i]) + 1.25 * mean) * (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum;
}

TEST(Schemes, AffineTriesTheSymmetricPair) {
  const Scheme &scheme = *findScheme("q4a_g32");
  for (Kind kind : kKinds) {
    int64_t columns = 96;
    std::vector<float> rows = makeRows(kind, kRows * columns, 11);
    for (float &value : rows) value = std::clamp(value, -packing::kLargestAffine, packing::kLargestAffine);
    std::vector<float> values = unpack(scheme, pack(scheme, rows, columns), columns);
    for (int64_t first = 0; first < kRows * columns; first += scheme.group) {
      llvm::ArrayRef<float> x = llvm::ArrayRef(rows).slice(first, scheme.group);
      double ours = countedError(x, llvm::ArrayRef(values).slice(first, scheme.group));
      ASSERT_LE(ours, countedError(x, symmetricPair(x)) * (1 + 1e-5)) << "kind " << int(kind);
    }
  }
}

// Every code means something, and what pack writes reads back as it was meant.
TEST(Schemes, AffineCodes) {
  for (uint32_t code = 0; code < 65536; ++code) {
    float scale = packing::affine_scale(uint16_t(code)), offset = packing::affine_offset(uint16_t(code));
    ASSERT_TRUE(scale >= 0x1p-20f && scale <= 4032.0f) << code;
    ASSERT_TRUE(offset >= -4 && offset <= 3.875f) << code;
  }
  EXPECT_EQ(packing::affine_scale(0x8000), 0x1p-20f);
  EXPECT_EQ(packing::affine_offset(0x8000), 0);
  EXPECT_EQ(packing::affine_scale(20 << 5 | 16), 1.5f);
}

// Values far on one side of zero: a grid about zero would leave half of its integers unused.
TEST(Schemes, AffineFollowsAnOffset) {
  for (float side : {0.05f, -0.05f}) { // 2.5 deviations
    std::vector<float> rows = makeRows(Kind::Normal, kRows * 64, 3);
    for (float &value : rows) value += side;
    auto errorOf = [&](const char *name) {
      const Scheme &scheme = *findScheme(name);
      return squaredError(rows, unpack(scheme, pack(scheme, rows, 64), 64));
    };
    EXPECT_LT(errorOf("q4a_g32"), 0.6 * errorOf("q4_g32")) << side;
  }
}

// The figures of docs/quantization.md: root mean square error relative to the weights', beside absmax / highest.
TEST(Schemes, ErrorsAreAsDocumented) {
  struct Row { // normal, heavy tails (Student, 3 degrees), uniform
    const char *scheme;
    double limit[3];
  };
  const Row table[] = {{"q4_g32", {0.0815, 0.1231, 0.0590}},
                       {"q4_g64", {0.0906, 0.1539, 0.0621}},
                       {"q4_g128", {0.0976, 0.1873, 0.0641}},
                       {"q8_g32", {0.00503, 0.00822, 0.00345}},
                       {"q8_g128", {0.00634, 0.01352, 0.00373}},
                       {"q4a_g32", {0.0713, 0.0958, 0.0546}}};
  const Kind kinds[] = {Kind::Normal, Kind::HeavyTails, Kind::Uniform};
  for (const Row &row : table)
    for (int i = 0; i < 3; ++i) {
      const Scheme &scheme = *findScheme(row.scheme);
      int64_t columns = 11520; // a multiple of every group
      std::vector<float> rows = makeRows(kinds[i], kRows * columns, 7);
      auto start = std::chrono::steady_clock::now();
      std::vector<char> block = pack(scheme, rows, columns);
      std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
      double size = squaredError(rows, std::vector<float>(rows.size())), plain = 0;
      for (size_t first = 0; first < rows.size(); first += scheme.group)
        plain += plainError(scheme, llvm::ArrayRef(rows).slice(first, scheme.group));
      double error = std::sqrt(squaredError(rows, unpack(scheme, block, columns)) / size);
      std::printf("%-8s %-11s error %.5f, absmax %.5f, %.2f ns a weight\n", row.scheme,
                  i == 0 ? "normal" : i == 1 ? "heavy tails" : "uniform", error, std::sqrt(plain / size),
                  time.count() / double(rows.size()));
      EXPECT_LE(error, row.limit[i]) << row.scheme << " kind " << i;
    }
}

TEST(Schemes, ValuesOnTheGridAreExact) {
  std::mt19937 random(9);
  for (const Scheme &scheme : schemes()) {
    int64_t columns = 2 * scheme.group;
    std::vector<float> rows(kRows * columns);
    int highest = scheme.bits == 4 ? 7 : 127;
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = 0.0078125f * (i % scheme.group == 5 ? highest : int(random() % (2 * highest + 1)) - highest);
    EXPECT_EQ(unpack(scheme, pack(scheme, rows, columns), columns), rows) << scheme.name;
  }
}

TEST(Schemes, RaggedColumns) {
  for (const Scheme &scheme : schemes())
    for (int64_t columns : {1, 31, 48, 172, 352, 2880}) {
      std::vector<float> rows = makeRows(Kind::Normal, kRows * columns, 13);
      std::vector<char> block = pack(scheme, rows, columns);
      std::vector<float> values = unpack(scheme, block, columns);
      double size = squaredError(rows, std::vector<float>(rows.size()));
      EXPECT_LE(std::sqrt(squaredError(rows, values) / size), scheme.bits == 4 ? 0.11 : 0.008) << columns;
      // A short last group is the same as one filled up with zeros.
      int64_t padded = scheme.chunks(columns) * scheme.columns_per_chunk();
      std::vector<float> wide(kRows * padded);
      for (int r = 0; r < kRows; ++r)
        std::copy_n(rows.begin() + r * columns, columns, wide.begin() + r * padded);
      EXPECT_EQ(pack(scheme, wide, padded), block);
    }
}

TEST(Schemes, ZeroAndTinyGroups) {
  for (const Scheme &scheme : schemes()) {
    int64_t columns = 2 * scheme.group;
    std::vector<float> rows(kRows * columns, 0.0f);
    EXPECT_EQ(unpack(scheme, pack(scheme, rows, columns), columns), rows);
    for (float tiny : {std::numeric_limits<float>::denorm_min(), 1e-38f, 1e-20f, 2e-8f, 5e-8f, 3e-7f}) {
      rows.assign(rows.size(), tiny);
      for (float value : unpack(scheme, pack(scheme, rows, columns), columns))
        EXPECT_LE(std::fabs(value - tiny), scheme.affine ? 0x1p-21f : 0x1p-25f) << tiny; // half the smallest scale
    }
  }
}

TEST(Schemes, BadValuesAreReported) {
  for (const Scheme &scheme : schemes())
    for (int64_t columns : {48, 300}) {
      std::vector<char> block(scheme.chunks(columns) * scheme.chunk_bytes());
      for (float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
        std::vector<float> rows(kRows * columns, 0.5f);
        rows[columns * 9 + columns - 1] = bad;
        EXPECT_EQ(packing::pack_block(scheme, rows, columns, block), PackStatus::kNotFinite);
      }
      std::vector<float> rows(kRows * columns, 0.5f);
      rows[columns * 15] = -1e7f;
      EXPECT_EQ(packing::pack_block(scheme, rows, columns, block), PackStatus::kTooLarge);
      rows[columns * 15] = scheme.affine ? -packing::kLargestAffine : -65504.0f * (scheme.bits == 4 ? 7 : 127);
      EXPECT_EQ(packing::pack_block(scheme, rows, columns, block), PackStatus::kOk);
    }
  EXPECT_NE(std::string(packing::pack_status_text(PackStatus::kNotFinite)).find("NaN"), std::string::npos);
}

// FNV-1a of a block made of integers alone: other machines and compilers must give the same bytes.
TEST(Schemes, BytesAreTheSameEverywhere) {
  int64_t columns = 352;
  std::vector<float> rows(kRows * columns);
  uint32_t state = 12345;
  for (float &value : rows) {
    state = state * 1664525 + 1013904223;
    int32_t a = int32_t(state >> 16) - 32768;
    state = state * 1664525 + 1013904223;
    value = float(a + int32_t(state >> 16) - 32768) * 0x1p-21f;
  }
  auto hashOf = [&](const char *name) {
    uint64_t hash = 0xcbf29ce484222325;
    for (char byte : pack(*findScheme(name), rows, columns)) hash = (hash ^ uint8_t(byte)) * 0x100000001b3;
    return hash;
  };
  EXPECT_EQ(hashOf("q4_g32"), 0xa0220198411e7dd4u);
  EXPECT_EQ(hashOf("q4_g64"), 0xeb18f0a87af04935u);
  EXPECT_EQ(hashOf("q4_g128"), 0x5426435fdd8170dcu);
  EXPECT_EQ(hashOf("q8_g32"), 0x56d4f00f31daf200u);
  EXPECT_EQ(hashOf("q8_g128"), 0x269a5008d86c7ffcu);
  EXPECT_EQ(hashOf("q4a_g32"), 0xd761c8e11ffa3600u);
}

TEST(Plain, RoundTripAndLayout) {
  int64_t columns = 7;
  std::vector<float> rows = makeRows(Kind::Normal, kRows * columns, 21);
  for (auto [element, bytes] : {std::pair("f32", 4), std::pair("bf16", 2), std::pair("f16", 2)}) {
    std::vector<char> block(kRows * columns * bytes);
    ASSERT_EQ(packing::pack_block_plain(element, rows, columns, block), PackStatus::kOk);
    std::vector<float> values(rows.size());
    packing::unpack_block_plain(element, block, columns, values);
    for (size_t i = 0; i < rows.size(); ++i) {
      float expected = bytes == 4 ? rows[i]
                       : element[0] == 'b' ? packing::bf16_to_f32(packing::f32_to_bf16(rows[i])) : packing::f16_to_f32(packing::f32_to_f16(rows[i]));
      ASSERT_EQ(values[i], expected);
    }
    if (bytes == 2) { // element (row 3, column 2) stands at 2 * 16 + 3
      uint16_t stored = llvm::support::endian::read16le(block.data() + 2 * (2 * 16 + 3));
      EXPECT_EQ(stored, element[0] == 'b' ? packing::f32_to_bf16(rows[3 * columns + 2]) : packing::f32_to_f16(rows[3 * columns + 2]));
    }
    rows[5] = HUGE_VALF;
    EXPECT_EQ(packing::pack_block_plain(element, rows, columns, block), PackStatus::kNotFinite);
    rows[5] = 70000.0f;
    EXPECT_EQ(packing::pack_block_plain(element, rows, columns, block),
              llvm::StringRef(element) == "f16" ? PackStatus::kTooLarge : PackStatus::kOk);
    rows[5] = 0.0f;
  }
}

} // namespace
