// cache_write and attention through page tables in random order, against the oracle, and bit for bit whatever lies in
// pages that are not looked at.
#include "codegen/reference/Oracle.h"
#include "runtime/packing/half.h"
#include "test/conformance/KernelHarness.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace llmc::conformance {
namespace {

struct Case {
  const char *element;
  int64_t heads, kvHeads, dim, length, window;
  double softCap = 0;
};

constexpr int64_t kSplitRows = 4;

std::string attentionText(const Case &c, bool sinks = false, int64_t parts = 0) {
  std::string split = parts ? ", parts = " + std::to_string(parts) + " : i64, split_rows = 4 : i64, group = " +
                                  std::to_string(c.heads / c.kvHeads) + " : i64"
                            : "";
  return "exec.kernel @k \"attention\" {element = \"" + std::string(c.element) + "\", scale = 0.25 : f64, soft_cap = " +
         std::to_string(c.softCap) + " : f64, window = " + std::to_string(c.window) +
         " : i64, sinks = " + (sinks ? "true" : "false") + ", alibi = false" + split + "}";
}

std::string cacheWriteText(const Case &c) {
  return "exec.kernel @k \"cache_write\" {element = \"" + std::string(c.element) + "\"}";
}

std::string combineText(const Case &c, bool sinks = true) {
  return "exec.kernel @k \"attention_combine\" {window = " + std::to_string(c.window) +
         " : i64, sinks = " + (sinks ? "true" : "false") + ", split_rows = 4 : i64}";
}

// A sequence's keys and values in a pool of pages, every other page filled with NaN.
struct Cache {
  int64_t blocks, pages, pad;
  std::vector<char> table, pool;
};

Cache fillCache(const Case &c, const std::vector<float> &keys, const std::vector<float> &values,
                const std::string &device, uint32_t seed) {
  Cache cache;
  cache.blocks = ceilDiv(c.length, 16);
  cache.pages = 2 * cache.blocks + 1;
  cache.pad = ceilDiv(c.dim, 16) * 16;
  std::string element = c.element;
  int64_t bytes = element == "f32" ? 4 : element == "int8" ? 1 : 2;
  int64_t size = c.kvHeads * 16 * ((c.dim + cache.pad) * bytes + (element == "int8" ? 2 * 4 : 0)); // of a page
  cache.pool.assign(cache.pages * size, char(0xff));
  std::vector<int32_t> pages(cache.pages);
  for (int32_t i = 0; i < cache.pages; ++i) pages[i] = i;
  std::shuffle(pages.begin(), pages.end(), std::mt19937(seed));
  pages.resize(cache.blocks);
  // A fresh page's padding is zero in the runtime; here what a kernel may read is made a number.
  for (int32_t page : pages) std::fill_n(cache.pool.begin() + page * size, size, 0);
  cache.table = bytesOf(pages);
  const Kernel &write = cachedKernel(cacheWriteText(c), device);
  std::vector<int32_t> positions(c.length), sequence(c.length, 0);
  for (int64_t i = 0; i < c.length; ++i) positions[i] = int32_t(i);
  std::vector<char> k = bytesOf(keys), v = bytesOf(values), at = bytesOf(positions), s = bytesOf(sequence);
  int64_t ld = c.kvHeads * c.dim;
  write.run({&k, &v, &at, &s, &cache.table, &cache.pool},
            {c.length, ld, ld, c.kvHeads, c.dim, c.dim, cache.pad, 1, cache.blocks, cache.pages}, Guard::End, 7);
  return cache;
}

std::vector<float> attend(const Case &c, Cache &cache, const std::vector<float> &queries,
                          const std::vector<int32_t> &positions, const std::string &device, Guard guard = Guard::End,
                          int64_t piece = 3) {
  int64_t n = positions.size(), width = c.heads * c.dim;
  std::vector<char> q = bytesOf(queries), at = bytesOf(positions), s = bytesOf(std::vector<int32_t>(n, 0));
  std::vector<char> out(n * width * 4);
  cachedKernel(attentionText(c), device)
      .run({&q, &at, &s, &cache.table, &cache.pool, &out},
           {n, c.heads, c.kvHeads, c.heads / c.kvHeads, c.dim, c.dim, cache.pad, width, width, 1, cache.blocks, cache.pages},
           guard, piece);
  return valuesOf<float>(out);
}

// Whole, or in parts that attention_combine puts together. Parts know nothing of sinks: the same kernel serves both.
std::vector<float> attendInParts(const Case &c, Cache &cache, const std::vector<float> &queries,
                                 const std::vector<int32_t> &positions, const std::string &device, bool sinking,
                                 int64_t parts, Guard guard) {
  int64_t n = positions.size(), width = c.heads * c.dim, headBlocks = ceilDiv(c.heads, 16);
  int64_t record = 64 * cache.pad + 128;
  std::vector<char> q = bytesOf(queries), at = bytesOf(positions), s = bytesOf(std::vector<int32_t>(n, 0));
  std::vector<char> sinks = bytesOf(randomFloats(c.heads, 8, 3)), out(n * width * 4);
  // NaN: what parts did not write must not count.
  std::vector<char> segments(kSplitRows * headBlocks * cache.blocks * record / 16, char(0xff));
  std::vector<char> last(kSplitRows * headBlocks * record, char(0xff));
  std::vector<int64_t> scalars{n, c.heads, c.kvHeads, c.heads / c.kvHeads, c.dim, c.dim, cache.pad, width, width, 1,
                               cache.blocks, cache.pages};
  std::vector<std::vector<char> *> operands{&q, &at, &s, &cache.table, &cache.pool};
  if (parts || sinking) operands.push_back(&sinks);
  operands.push_back(&out);
  if (parts) {
    scalars.push_back(headBlocks);
    operands.insert(operands.end(), {&segments, &last});
    out.assign(out.size(), char(0xff)); // attention_combine writes it
  }
  cachedKernel(attentionText(c, parts || sinking, parts), device).run(operands, scalars, guard, 3);
  if (!parts) return valuesOf<float>(out);
  std::vector<std::vector<char> *> combined{&at, &segments, &last};
  if (sinking) combined.push_back(&sinks);
  combined.push_back(&out);
  cachedKernel(combineText(c, sinking), device)
      .run(combined, {n, c.heads, headBlocks, c.dim, cache.pad, width, cache.blocks}, guard, 1);
  return valuesOf<float>(out);
}

// Windows are wide enough for tiles of few rows, which look at four pages at once.
const std::vector<Case> kCases = {
    {"f32", 4, 2, 8, 40, 0},    {"f32", 8, 2, 64, 600, 0}, {"f32", 3, 3, 20, 97, 75},       {"bf16", 4, 1, 16, 300, 0},
    {"f16", 4, 2, 16, 90, 70},  {"bf16", 2, 1, 34, 70, 0}, {"f32", 2, 1, 128, 70, 0, 3.0},  {"f32", 2, 2, 16, 800, 270},
    {"bf16", 18, 1, 64, 70, 0}, {"f16", 7, 1, 20, 530, 0}, {"bf16", 12, 2, 128, 600, 300},
    {"int8", 4, 2, 64, 530, 0}, {"int8", 5, 1, 20, 97, 75},
};

// With the bf16 dot, queries (times scale and log2 e) and p are rounded to bf16.
bool usesBf16Dot(const Case &c, const std::string &device) {
  return c.element == std::string("bf16") && (device == "x86-64-v4-vnni-bf16" || device == "x86-64-v4-amx-bf16");
}

std::vector<double> asMultiplied(const Case &c, const std::string &device, const std::vector<float> &queries) {
  std::vector<double> values = toDouble(queries);
  if (!usesBf16Dot(c, device)) return values;
  const double factor = float(0.25 * 1.44269504088896340736);
  for (double &value : values) value *= factor;
  reference::roundAll(reference::Element::BF16, values);
  for (double &value : values) value /= factor;
  return values;
}

// Where a score is adjusted, queries are stored times scale alone.
std::vector<double> roundedQueries(const std::vector<float> &queries) {
  std::vector<double> values = toDouble(queries);
  for (double &value : values) value *= 0.25;
  reference::roundAll(reference::Element::BF16, values);
  for (double &value : values) value /= 0.25;
  return values;
}

void roundLikeCache(const Case &c, std::vector<double> &values) {
  if (c.element == std::string("int8"))
    reference::roundInt8Groups(values, c.dim);
  else
    reference::roundAll(elementOf(c.element), values);
}

// Each p is off by at most 2^-9 of itself, and so is a mean of values that it weighs.
double bound(const Case &c, const std::string &device) { return usesBf16Dot(c, device) ? 1.0 / 256 : 2e-6; }

std::string adjustedText(const Case &c) {
  std::string text = attentionText(c, true);
  return text.replace(text.find("alibi = false"), 13, "alibi = true");
}

// Queries at these positions against the oracle, over its largest value; `adjusted`: with sinks and ALiBi.
double errorOf(const Case &c, bool adjusted, const std::vector<int32_t> &positions, const std::string &device, Guard guard,
               int64_t piece, float largestValue = 1) {
  std::vector<float> keys = randomFloats(c.length * c.kvHeads * c.dim, 1);
  std::vector<float> values = randomFloats(c.length * c.kvHeads * c.dim, 2, largestValue);
  Cache cache = fillCache(c, keys, values, device, 3);
  int64_t n = positions.size(), width = c.heads * c.dim;
  std::vector<float> queries = randomFloats(n * width, 4, 3), sinks, alibi;
  if (adjusted) sinks = randomFloats(c.heads, 5, 3), alibi = randomFloats(c.heads, 6, 0.1f);
  if (adjusted && c.heads > 1) alibi.back() = 2; // scores so far apart that most of their weights are zero
  std::vector<char> q = bytesOf(queries), at = bytesOf(positions), s = bytesOf(std::vector<int32_t>(n, 0));
  std::vector<char> sinkBytes = bytesOf(sinks), alibiBytes = bytesOf(alibi), out(n * width * 4);
  std::vector<std::vector<char> *> operands{&q, &at, &s, &cache.table, &cache.pool};
  if (adjusted) operands.insert(operands.end(), {&sinkBytes, &alibiBytes});
  operands.push_back(&out);
  cachedKernel(adjusted ? adjustedText(c) : attentionText(c), device)
      .run(operands,
           {n, c.heads, c.kvHeads, c.heads / c.kvHeads, c.dim, c.dim, cache.pad, width, width, 1, cache.blocks, cache.pages},
           guard, piece);
  std::vector<double> k = toDouble(keys), v = toDouble(values);
  roundLikeCache(c, k);
  roundLikeCache(c, v);
  reference::AttentionSpec spec{c.heads, c.kvHeads, c.dim, c.dim, 0.25, c.softCap, c.window};
  std::vector<double> input = !adjusted                 ? asMultiplied(c, device, queries)
                              : usesBf16Dot(c, device) ? roundedQueries(queries)
                                                        : toDouble(queries);
  auto expected = reference::attention(spec, input, std::vector<int64_t>(positions.begin(), positions.end()), k, v,
                                       toDouble(sinks), toDouble(alibi));
  return relativeError(valuesOf<float>(out), expected);
}

// The kernel of this case on tiles of every size: rows of one head, at the end of two segments. As f16 the values of the
// narrower head are denormal.
void expectTiles(const Case &c, bool adjusted, const std::string &device) {
  for (int64_t dim : {20, 80})
    for (int32_t rows : {1, 2, 4, 8, 16}) {
      Case own{c.element, 1, 1, dim, 335, c.window, c.softCap};
      std::vector<int32_t> positions;
      for (int32_t row = 0; row < rows; ++row) positions.push_back(335 - rows + row);
      EXPECT_LT(errorOf(own, adjusted, positions, device, Guard::End, rows, dim == 20 ? 5e-5f : 1), bound(own, device))
          << c.element << " window " << c.window << " dim " << dim << ", " << rows << " rows on " << device;
    }
}

TEST(AttentionKernels, AgreeWithTheOracle) {
  for (const std::string &device : devices())
    for (const Case &c : kCases) {
      if (!takes(device, {attentionText(c), cacheWriteText(c)})) continue;
      EXPECT_LT(errorOf(c, false, {0, 15, 16, int32_t(c.length) - 1}, device, Guard::Start, 3), bound(c, device))
          << c.element << " length " << c.length << " window " << c.window << " on " << device;
      expectTiles(c, false, device);
    }
}

// The CPU's tiers have one order, and each GPU has its own.
TEST(AttentionKernels, OneOrderWhateverTheBatchAndTheTier) {
  for (const Case &c : kCases) {
    std::vector<float> keys = randomFloats(c.length * c.kvHeads * c.dim, 1);
    std::map<std::string, std::vector<float>> firsts; // by order
    std::vector<float> values = randomFloats(c.length * c.kvHeads * c.dim, 2);
    int32_t last = int32_t(c.length) - 1;
    std::vector<float> queries = randomFloats(2 * c.heads * c.dim, 4);
    for (const std::string &device : devices()) {
      if (!takes(device, {attentionText(c), cacheWriteText(c)})) continue;
      Cache cache = fillCache(c, keys, values, device, 3);
      std::vector<float> both = attend(c, cache, queries, {last / 2, last}, device);
      const std::vector<float> &first = firsts.try_emplace(findDevice(device).order, both).first->second;
      if (!usesBf16Dot(c, device)) {
        EXPECT_EQ(both, first) << device;
      }
      std::vector<float> own(queries.begin() + c.heads * c.dim, queries.end());
      std::vector<float> alone = attend(c, cache, own, {last}, device);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), both.begin() + c.heads * c.dim)) << device;
      Cache elsewhere = fillCache(c, keys, values, device, 9);
      EXPECT_EQ(attend(c, elsewhere, queries, {last / 2, last}, device), both) << "in other pages, on " << device;
    }
  }
}

// A prompt's rows share tiles, packs and segments with other rows and other sequences.
TEST(AttentionKernels, ARowOfAPromptHasTheBitsOfTheRowAlone) {
  for (const Case &c : {Case{"f32", 6, 2, 24, 300, 0}, Case{"bf16", 8, 2, 64, 420, 300}, Case{"f16", 1, 1, 16, 280, 0},
                        Case{"int8", 8, 2, 32, 270, 0}})
    for (const std::string &device : devices()) {
      if (!takes(device, {attentionText(c), cacheWriteText(c)})) continue;
      std::vector<float> keys = randomFloats(c.length * c.kvHeads * c.dim, 1);
      std::vector<float> values = randomFloats(c.length * c.kvHeads * c.dim, 2);
      Cache cache = fillCache(c, keys, values, device, 3);
      std::vector<int32_t> positions;
      for (int64_t i = c.length - 150; i < c.length; ++i) positions.push_back(int32_t(i));
      int64_t width = c.heads * c.dim;
      std::vector<float> queries = randomFloats(positions.size() * width, 4);
      for (int64_t piece : {150, 7}) {
        std::vector<float> together = attend(c, cache, queries, positions, device, Guard::End, piece);
        for (size_t row : {0, 1, 69, 149}) {
          std::vector<float> own(queries.begin() + row * width, queries.begin() + (row + 1) * width);
          std::vector<float> alone = attend(c, cache, own, {positions[row]}, device);
          EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + row * width))
              << c.element << " row " << row << " in pieces of " << piece << " on " << device;
        }
      }
    }
}

// Queries at these positions, in parts and whole.
void expectParts(const Case &c, bool sinks, int64_t parts, const std::vector<std::vector<int32_t>> &steps,
                 const std::string &device) {
  if (!takes(device, {attentionText(c, true, parts), combineText(c, sinks), cacheWriteText(c)})) return;
  std::vector<float> keys = randomFloats(c.length * c.kvHeads * c.dim, 1);
  std::vector<float> values = randomFloats(c.length * c.kvHeads * c.dim, 2);
  Cache cache = fillCache(c, keys, values, device, 3);
  std::vector<Guard> guards{Guard::End};
  if (!findDevice(device).backend) guards.push_back(Guard::Start); // a GPU has both at once
  for (const std::vector<int32_t> &positions : steps) {
    std::vector<float> queries = randomFloats(positions.size() * c.heads * c.dim, 4);
    std::vector<float> whole = attendInParts(c, cache, queries, positions, device, sinks, 0, Guard::End);
    for (Guard guard : guards)
      EXPECT_EQ(attendInParts(c, cache, queries, positions, device, sinks, parts, guard), whole)
          << c.element << " dim " << c.dim << " length " << c.length << ", " << positions.size() << " rows in " << parts
          << " parts on " << device;
  }
}

// The last rows of a sequence, `rows` of them.
std::vector<int32_t> lastRows(int64_t length, int64_t rows) {
  std::vector<int32_t> positions;
  for (int64_t at = length - rows; at < length; ++at) positions.push_back(int32_t(at));
  return positions;
}

TEST(AttentionKernels, PartsHaveTheBitsOfTheWhole) {
  const std::pair<Case, int64_t> cases[] = {
      {{"f32", 3, 3, 20, 600, 0}, 3},   {{"f32", 8, 2, 64, 600, 0}, 3},    {{"f32", 18, 1, 34, 1300, 0}, 3},
      {{"bf16", 3, 3, 20, 600, 0}, 3},  {{"bf16", 8, 2, 64, 1300, 0}, 3},  {{"bf16", 36, 2, 34, 600, 0}, 3},
      {{"f16", 3, 3, 20, 1300, 0}, 3},  {{"f16", 8, 2, 64, 600, 0}, 3},    {{"f16", 18, 1, 34, 600, 0}, 3},
      {{"int8", 3, 3, 20, 600, 0}, 3},  {{"int8", 8, 2, 64, 600, 0}, 3},   {{"int8", 18, 1, 34, 800, 0}, 3},
      {{"f32", 2, 2, 20, 1100, 270}, 32}, {{"f16", 140, 1, 16, 300, 0}, 32}};
  for (const auto &[c, parts] : cases)
    for (const std::string &device : devices()) {
      int32_t end = int32_t(c.length) - 1;
      expectParts(c, true, parts, {{end}, {0, 255}, {256, end / 2, std::min(511, end), end}, {3, 16, 17, end - 1, end}}, device);
      // The last key of a segment, and the first of the next, are the first that a window sees.
      if (int32_t window = int32_t(c.window)) expectParts(c, true, parts, {{window + 254}, {window + 255}}, device);
      // More columns of values than a GPU has threads, or than a CPU's tile of few rows takes at once.
      Case wide = c;
      wide.dim = 80;
      wide.length = 300;
      expectParts(wide, true, parts, {{0, 255}, {3, 16, 17, 18, 19}}, device);
      expectParts(wide, false, parts, {{0, 280}}, device); // in steps that are not split parts have sinks
      if (findDevice(device).backend) continue;
      // Rows that leave tiles of every size, of each group that there can be.
      std::vector<std::vector<int32_t>> steps;
      for (int64_t rows : {1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 17, 18, 20, 24}) steps.push_back(lastRows(wide.length, rows));
      expectParts(wide, true, parts, steps, device);
    }
}

TEST(AttentionKernels, SinksAndAlibiAgree) {
  for (const std::string &device : devices())
    for (const Case &c : {Case{"f32", 6, 2, 24, 300, 75, 3.0}, Case{"f16", 4, 4, 16, 90, 70}, Case{"bf16", 4, 1, 16, 300, 0, 2.5},
                          Case{"int8", 4, 2, 24, 300, 75}}) {
      if (!takes(device, {adjustedText(c), cacheWriteText(c)})) continue;
      EXPECT_LT(errorOf(c, true, {3, 40, int32_t(c.length) - 1}, device, Guard::End, INT64_MAX), bound(c, device))
          << c.element << " on " << device;
      expectTiles(c, true, device);
    }
}

// Numbers that f16 and bf16 round to infinity, or that are none.
TEST(AttentionKernels, CacheKeepsInfinities) {
  const std::vector<float> special = {65504, 65519.996f, 65520, -65536, 1e30f, 3.4028235e38f, -3.4028235e38f, INFINITY,
                                      -INFINITY, NAN, 0x1p-24f, 0x1.8p-25f, 0x1p-25f, 0x1p-26f, -0x1.ffcp-15f, -0.0f};
  constexpr int64_t dim = 30, pad = 32; // a whole vector, and part of one
  std::vector<float> row;
  for (size_t i = 0; i < dim; ++i) row.push_back(special[i % special.size()]);
  for (const std::string &device : devices())
    for (const char *element : {"f16", "bf16"}) {
      Case c{element, 1, 1, dim, 1, 0};
      if (!takes(device, {cacheWriteText(c)})) continue;
      std::vector<char> keys = bytesOf(row), values = keys, zero = bytesOf(std::vector<int32_t>{0});
      std::vector<char> sequence = zero, table = zero, pool(16 * (dim + pad) * 2);
      cachedKernel(cacheWriteText(c), device)
          .run({&keys, &values, &zero, &sequence, &table, &pool}, {1, dim, dim, 1, dim, dim, pad, 1, 1, 1});
      bool pairs = element == std::string("bf16");
      for (size_t i = 0; i < dim; ++i) {
        size_t key = pairs ? i / 2 * 32 + i % 2 : i * 16, value = 16 * dim + (pairs ? 2 * i : i);
        uint16_t wanted = pairs ? llmrt::packing::f32_to_bf16(row[i]) : llmrt::packing::f32_to_f16(row[i]);
        for (size_t at : {key, value}) {
          uint16_t bits;
          std::memcpy(&bits, pool.data() + 2 * at, 2);
          if (std::isnan(row[i]))
            EXPECT_GT(bits & 0x7fff, pairs ? 0x7f80 : 0x7c00) << element << " on " << device;
          else
            EXPECT_EQ(bits, wanted) << element << " of " << row[i] << " on " << device;
        }
      }
    }
}

// Steps of more rows are not split: attention writes its result itself, and attention_combine has nothing to do.
TEST(AttentionKernels, ManyRowsAreNotSplit) {
  Case c{"f32", 8, 2, 16, 40, 0};
  constexpr int64_t parts = 3;
  for (const std::string &device : devices()) {
    if (!takes(device, {attentionText(c, true, parts), combineText(c), cacheWriteText(c)})) continue;
    std::vector<float> keys = randomFloats(c.length * c.kvHeads * c.dim, 1);
    Cache cache = fillCache(c, keys, keys, device, 3);
    std::vector<int32_t> positions = {35, 36, 37, 38, 39};
    std::vector<float> queries = randomFloats(positions.size() * c.heads * c.dim, 4);
    EXPECT_EQ(attendInParts(c, cache, queries, positions, device, true, parts, Guard::End),
              attendInParts(c, cache, queries, positions, device, true, 0, Guard::End))
        << device;
  }
}

} // namespace
} // namespace llmc::conformance
