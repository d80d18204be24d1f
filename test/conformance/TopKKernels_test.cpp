// top_k against the oracle: the same values and ids, whatever is equal, none or no number.
#include "codegen/reference/Oracle.h"
#include "test/conformance/KernelHarness.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <tuple>

namespace llmc::conformance {
namespace {

using Floats = std::vector<float>;

std::string topKText(int64_t count, bool pairs) {
  return "exec.kernel @k \"top_k\" {count = " + std::to_string(count) + " : i64, pairs = " + (pairs ? "true" : "false") + "}";
}

// As a kernel leaves them: the bits of the value, the id.
std::vector<int32_t> wordsOf(const std::vector<reference::Best> &best, int64_t first = 0) {
  std::vector<int32_t> words;
  for (const reference::Best &one : best) {
    words.push_back(std::bit_cast<int32_t>(one.value));
    words.push_back(one.column < 0 ? -1 : int32_t(first + one.column));
  }
  return words;
}

// Rows `ld` apart, the best of each run of 2048 columns.
std::vector<int32_t> bestOfRuns(const Floats &x, int64_t rows, int64_t columns, int64_t ld, int64_t count) {
  std::vector<int32_t> words;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t first = 0; first < columns; first += exec::kTopKColumns) {
      int64_t size = std::min(columns - first, exec::kTopKColumns);
      llvm::ArrayRef<float> run(x.data() + row * ld + first, size_t(size));
      std::vector<int32_t> own = wordsOf(reference::topK(run, size, count), first);
      words.insert(words.end(), own.begin(), own.end());
    }
  return words;
}

void expectBest(const std::string &device, const Floats &x, int64_t rows, int64_t columns, int64_t count,
                const std::string &what) {
  const Kernel *kernel = kernelIfTaken(topKText(count, false), device);
  if (!kernel) return;
  int64_t runs = ceilDiv(columns, exec::kTopKColumns), ld = rows > 1 ? columns + 5 : columns;
  std::vector<char> in = bytesOf(x), out(size_t(rows * runs * count * 8));
  kernel->run({&in, &out}, {rows, columns, runs, ld});
  EXPECT_EQ(valuesOf<int32_t>(out), bestOfRuns(x, rows, columns, ld, count))
      << what << ", " << rows << " x " << columns << ", the best " << count << ", on " << device;
}

// Sorted, falling, all equal, of few values, and random ones.
TEST(TopKKernels, KeepTheBestOfEveryRun) {
  for (const std::string &device : devices())
    for (auto [rows, columns, count] : {std::tuple{1, 1, 128}, {2, 37, 128}, {1, 128, 128}, {3, 300, 5}, {1, 2048, 128},
                                        {2, 2049, 128}, {1, 5000, 1}}) {
      size_t size = size_t((rows - 1) * (columns + 5) + columns);
      Floats random = randomFloats(size, 1, 8), rising(size), falling(size), equal(size, 0.5f), few(size);
      for (size_t i = 0; i < size; ++i) {
        rising[i] = float(i) - 1000;
        falling[i] = -rising[i];
        few[i] = std::floor(random[i] / 4);
      }
      expectBest(device, random, rows, columns, count, "random");
      expectBest(device, rising, rows, columns, count, "rising");
      expectBest(device, falling, rows, columns, count, "falling");
      expectBest(device, equal, rows, columns, count, "equal");
      expectBest(device, few, rows, columns, count, "few values");
    }
}

// Infinities, NaNs of both signs, both zeros and values that differ in one bit of any place.
TEST(TopKKernels, OrderEveryBitOfAValue) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const std::string &device : devices()) {
    Floats bits, special(700, -kInfinity);
    for (uint32_t sign : {0u, 1u << 31})
      for (uint32_t base : {0u, 0x3f800000u, 0x00ffffffu, 0x41234567u})
        for (int bit = 0; bit < 30; ++bit) bits.push_back(std::bit_cast<float>(sign | (base ^ (1u << bit))));
    for (float &value : bits)
      if (!std::isfinite(value)) value = 1;
    special[3] = -0.0f, special[4] = 0, special[699] = -0.0f, special[90] = kInfinity, special[91] = -1;
    special[500] = std::numeric_limits<float>::quiet_NaN(), special[20] = -special[500];
    special[21] = std::numeric_limits<float>::max(), special[22] = std::numeric_limits<float>::denorm_min();
    special[23] = -special[22], special[24] = std::numeric_limits<float>::lowest();
    expectBest(device, bits, 1, int64_t(bits.size()), 128, "bits");
    expectBest(device, special, 1, 700, 128, "special");
    expectBest(device, special, 1, 700, 5, "special");
  }
}

// The best of what the level before left, to the last: the best of the row.
TEST(TopKKernels, LevelsLeaveTheBestOfTheRow) {
  for (const std::string &device : devices())
    for (int64_t columns : {2100, 40000}) {
      int64_t rows = 2, count = 128;
      if (!takes(device, {topKText(count, false), topKText(count, true)})) continue;
      Floats x = randomFloats(size_t(rows * columns), 3, 8);
      for (float &value : x) value = std::floor(value * 64) / 64; // so that some are equal
      std::vector<char> level = bytesOf(x);
      std::vector<reference::Best> expected = reference::topK(x, columns, count);
      bool pairs = false;
      for (int64_t width = columns; width > count; pairs = true) {
        int64_t runs = ceilDiv(width, exec::kTopKColumns);
        std::vector<char> out(size_t(rows * runs * count * 8));
        cachedKernel(topKText(count, pairs), device).run({&level, &out}, {rows, width, runs, width});
        level = std::move(out);
        width = runs * count;
      }
      EXPECT_EQ(valuesOf<int32_t>(level), wordsOf(expected)) << columns << " columns on " << device;
    }
}

} // namespace
} // namespace llmc::conformance
