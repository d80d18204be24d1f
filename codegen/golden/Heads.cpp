// Golden vectors of the kinds that work on heads: rope_table, rope, cache_write, attention, attention_combine.
#include "codegen/golden/Draft.h"

#include <cmath>
#include <numbers>

namespace llmc::golden {

using codegen::CpuTier;

namespace {

constexpr double kRopeBound = 4e-6, kDynamicRopeBound = 2e-5, kAttentionBound = 1e-5;
constexpr double kBf16AttentionBound = 1.0 / 128; // where p and queries are rounded to bf16
constexpr double kLog2E = std::numbers::log2e;

} // namespace

Draft makeRopeTable(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t half = 16, S = 2;
  Draft draft(kernel, tier, {n, half, half, S});
  bool dynamic = cpu::configString(kernel, "scaling") == "dynamic";
  reference::RopeSpec spec;
  spec.dim = 2 * half;
  std::vector<int32_t> positions, sequence;
  for (int64_t row = 0; row < n; ++row) positions.push_back(int32_t(77 * row + 5)), sequence.push_back(int32_t(row % S));
  draft.add(positions);
  std::vector<int32_t> lengths{3, 3};
  if (dynamic) {
    spec.scaling = "dynamic";
    spec.factor = cpu::configFloat(kernel, "factor");
    spec.base = cpu::configFloat(kernel, "base");
    spec.dim = cpu::configInt(kernel, "dim");
    spec.original = cpu::configInt(kernel, "original");
    draft.golden.scalars[1] = spec.dim / 2;
    draft.golden.scalars[2] = ceilDiv(spec.dim / 2, 16) * 16;
    lengths[1] = int32_t(spec.original + spec.original / 2 + 1);
    draft.add(sequence);
    draft.add(lengths);
  } else {
    draft.add(reference::ropeFrequencies(spec, 0));
  }
  size_t result = draft.addResult();
  double factor = cpu::configFloat(kernel, "attention_factor");
  int64_t columns = draft.golden.scalars[1], pad = draft.golden.scalars[2];
  for (int64_t row = 0; row < n; ++row) {
    std::vector<float> frequencies = reference::ropeFrequencies(spec, lengths[sequence[row]]);
    std::vector<double> cosines, sines;
    for (int64_t i = 0; i < columns; ++i) {
      double angle = float(positions[row]) * frequencies[i];
      cosines.push_back(factor * std::cos(angle));
      sines.push_back(factor * std::sin(angle));
    }
    double bound = dynamic ? kDynamicRopeBound : kRopeBound;
    draft.expect(result, cosines, bound, 8 * row * pad);
    draft.expect(result, sines, bound, 8 * row * pad + 4 * pad);
  }
  return draft;
}

Floats ropeTable(llvm::ArrayRef<float> frequencies, llvm::ArrayRef<int64_t> positions) {
  Floats table;
  for (int64_t position : positions)
    for (bool sine : {false, true}) {
      for (float frequency : frequencies) {
        double angle = float(position) * frequency;
        table.push_back(float(sine ? std::sin(angle) : std::cos(angle)));
      }
      table.resize(ceilDiv(int64_t(table.size()), 16) * 16);
    }
  return table;
}

Draft makeRope(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t heads = 3, dim = 40, half = 16, pad = 16, width = heads * dim, ld = width + 3;
  llvm::StringRef kind = cpu::configString(kernel, "kind");
  Draft draft(kernel, tier, {n, heads, dim, half, pad, ld, width});
  Floats x = numbers((n - 1) * ld + width, 1), weight = numbers(dim, 2);
  draft.add(x);
  std::vector<int64_t> positions;
  reference::RopeSpec spec;
  spec.dim = 2 * half;
  spec.interleaved = kind == "interleaved";
  std::vector<float> frequencies = reference::ropeFrequencies(spec, 0);
  for (int64_t row = 0; row < n; ++row) positions.push_back(3 * row + 2);
  if (kind != "none") draft.add(ropeTable(frequencies, positions));
  bool norm = cpu::configString(kernel, "norm") != "none";
  if (norm) draft.add(weight);
  std::vector<double> rows;
  for (int64_t row = 0; row < n; ++row) rows.insert(rows.end(), x.begin() + row * ld, x.begin() + row * ld + width);
  if (norm)
    rows = reference::norm(reference::Norm::Rms, rows, width, dim, toDouble(weight), {},
                           cpu::configFloat(kernel, "epsilon"));
  if (kind != "none") rows = reference::rope(spec, frequencies, rows, positions, heads, dim);
  draft.expect(draft.addResult(), rows, kRopeBound);
  return draft;
}

// ---- keys and values -------------------------------------------------------------------------------------------------

Draft makeCacheWrite(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t heads = 2, dim = 16, pages = 5;
  int64_t blocks = ceilDiv(n + 13, 16); // the rows end in the last of them
  std::vector<int32_t> table, positions, sequence(n, 0);
  for (int64_t block = 0; block < blocks; ++block) table.push_back(int32_t((3 + 4 * block) % pages));
  int64_t first = 13, width = heads * dim;
  Draft draft(kernel, tier, {n, width, width, heads, dim, dim, dim, 1, blocks, pages});
  Floats keys = numbers(n * width, 1), values = numbers(n * width, 2);
  for (int64_t row = 0; row < n; ++row) positions.push_back(int32_t(first + row));
  draft.add(keys);
  draft.add(values);
  draft.add(positions);
  draft.add(sequence);
  draft.add(table);
  // The tokens before the first row are not written: an own pool of zeros has none of their scales either.
  std::vector<double> k(first * width), v(first * width);
  k.insert(k.end(), keys.begin(), keys.end());
  v.insert(v.end(), values.begin(), values.end());
  PageShape shape{cpu::configString(kernel, "element").str(), heads, dim, dim, dim};
  draft.expectBytes(draft.addResult(), packPages(shape, table, pages, k, v));
  return draft;
}

namespace {

// One sequence of 40 tokens; rows look back from its end.
struct AttentionCase {
  static constexpr int64_t dim = 32, length = 40, blocks = 3, pages = 4;
  exec::KernelOp kernel;
  int64_t n, group, kvHeads, heads;
  std::vector<int32_t> positions;
  std::vector<double> keys, values; // as the cache rounds them
  Floats queries, sinks, alibi;
  Bytes pool;
  std::vector<int32_t> table{2, 0, 3};

  AttentionCase(exec::KernelOp kernel, int64_t n)
      : kernel(kernel), n(n), group(kernel.getInteger("parts") ? kernel.getInteger("group") : 2),
        kvHeads(group == 1 ? 3 : 2), heads(group * kvHeads) {
    int64_t width = kvHeads * dim;
    keys = toDouble(numbers(length * width, 1));
    values = toDouble(numbers(length * width, 2));
    queries = numbers(n * heads * dim, 3, 2);
    sinks = numbers(heads, 4);
    alibi = numbers(heads, 5, 0.125f);
    for (int64_t row = 0; row < n; ++row) positions.push_back(int32_t(length - 1 - (n - 1 - row) % length));
    PageShape shape{cpu::configString(kernel, "element").str(), kvHeads, dim, dim, dim};
    pool = packPages(shape, table, pages, keys, values);
  }

  bool has(llvm::StringRef key) const { return cpu::configBool(kernel, key); }
  reference::AttentionSpec spec() const {
    return {heads, kvHeads, dim, dim, cpu::configFloat(kernel, "scale"), cpu::configFloat(kernel, "soft_cap"),
            cpu::configInt(kernel, "window")};
  }
  std::vector<double> expected() const {
    std::vector<int64_t> at(positions.begin(), positions.end());
    auto optional = [&](const char *key, const Floats &values) {
      return has(key) ? toDouble(values) : std::vector<double>();
    };
    return reference::attention(spec(), toDouble(queries), at, keys, values, optional("sinks", sinks),
                                optional("alibi", alibi));
  }
  double bound() const { return cpu::configString(kernel, "element") == "bf16" ? kBf16AttentionBound : kAttentionBound; }

  // A head's largest score times log2 e, its sum of p, its sums of p V.
  struct Segment {
    double largest = -1e30, sum = 0;
    std::vector<double> sums = std::vector<double>(dim);
  };
  Segment segment(int64_t row, int64_t head) const {
    reference::AttentionSpec s = spec();
    Segment result;
    std::vector<double> scores;
    int64_t first = s.window ? std::max<int64_t>(positions[row] + 1 - s.window, 0) : 0, kv = head / group;
    for (int64_t key = first; key <= positions[row]; ++key) {
      double score = 0;
      for (int64_t i = 0; i < dim; ++i)
        score += queries[(row * heads + head) * dim + i] * keys[(key * kvHeads + kv) * dim + i];
      score *= s.scale;
      if (s.softCap) score = std::tanh(score / s.softCap) * s.softCap;
      if (has("alibi")) score += alibi[head] * double(key - positions[row]);
      scores.push_back(score * kLog2E);
      result.largest = std::max(result.largest, scores.back());
    }
    for (int64_t key = first; key <= positions[row]; ++key) {
      double p = std::exp2(scores[key - first] - result.largest);
      result.sum += p;
      for (int64_t i = 0; i < dim; ++i) result.sums[i] += p * values[(key * kvHeads + kv) * dim + i];
    }
    return result;
  }
};

// Rows that are split leave a record of their only segment in `last`; docs/kernels.md, Parts.
void expectRecords(Draft &draft, const AttentionCase &c, size_t last) {
  constexpr int64_t dim = AttentionCase::dim, record = 4 * 16 * (dim + 2);
  int64_t headBlocks = ceilDiv(c.heads, 16);
  for (int64_t row = 0; row < c.n; ++row)
    for (int64_t block = 0; block < headBlocks; ++block) {
      std::vector<double> sums, largest, pSums;
      for (int64_t head = 16 * block; head < std::min(c.heads, 16 * block + 16); ++head) {
        AttentionCase::Segment segment = c.segment(row, head);
        sums.insert(sums.end(), segment.sums.begin(), segment.sums.end());
        largest.push_back(segment.largest);
        pSums.push_back(segment.sum);
      }
      size_t start = size_t((row * headBlocks + block) * record), behind = start + size_t(4 * 16 * dim);
      draft.expect(last, sums, c.bound(), start);
      draft.expect(last, largest, c.bound(), behind);
      draft.expect(last, pSums, c.bound(), behind + 4 * 16);
    }
}

} // namespace

Draft makeAttention(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  AttentionCase c(kernel, n);
  constexpr int64_t dim = AttentionCase::dim;
  int64_t width = c.heads * dim;
  std::vector<int64_t> scalars{n,   c.heads, c.kvHeads, c.group, dim, dim, dim, width, width, 1, AttentionCase::blocks,
                               AttentionCase::pages};
  bool parts = kernel.getInteger("parts") != 0;
  if (parts) scalars.push_back(ceilDiv(c.heads, 16));
  Draft draft(kernel, tier, scalars);
  draft.add(c.queries);
  draft.add(c.positions);
  draft.add(std::vector<int32_t>(n, 0));
  draft.add(c.table);
  draft.add(c.pool);
  if (c.has("sinks")) draft.add(c.sinks);
  if (c.has("alibi")) draft.add(c.alibi);
  size_t out = draft.addResult();
  if (parts) draft.addResult();
  size_t last = parts ? draft.addResult() : 0;
  if (parts && n <= kernel.getInteger("split_rows"))
    expectRecords(draft, c, last);
  else
    draft.expect(out, c.expected(), c.bound());
  return draft;
}

// Row r has a segment before its last one where r is even.
Draft makeAttentionCombine(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t heads = 18, headBlocks = 2, dim = 16, blocks = 32, record = 16 * (dim + 2);
  int64_t splitRows = cpu::configInt(kernel, "split_rows"), window = cpu::configInt(kernel, "window");
  Draft draft(kernel, tier, {n, heads, headBlocks, dim, dim, heads * dim, blocks});
  std::vector<int32_t> positions;
  for (int64_t row = 0; row < n; ++row) positions.push_back(row % 2 ? 200 : 256 + 30);
  draft.add(positions);
  Floats before = numbers(blocks / 16 * splitRows * headBlocks * record, 1), last = numbers(splitRows * headBlocks * record, 2);
  Floats sinks = numbers(heads, 3);
  auto positive = [&](Floats &records) { // the sums of p
    for (size_t at = 0; at < records.size(); at += record)
      for (int64_t lane = 0; lane < 16; ++lane) {
        float &sum = records[at + 16 * (dim + 1) + lane];
        sum = 1 + std::abs(sum);
      }
  };
  positive(before);
  positive(last);
  draft.add(before);
  draft.add(last);
  bool sinking = cpu::configBool(kernel, "sinks");
  if (sinking) draft.add(sinks);
  std::vector<double> expected;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t head = 0; head < heads; ++head) {
      std::vector<const float *> segments{last.data() + (row * headBlocks + head / 16) * record};
      int64_t first = window ? std::max<int64_t>(positions[row] + 1 - window, 0) : 0;
      if (positions[row] >= 256 && first < 256) segments.push_back(before.data() + (row * headBlocks + head / 16) * record);
      double largest = -1e30, sum = 0;
      std::vector<double> sums(dim);
      for (const float *segment : segments) largest = std::max<double>(largest, segment[16 * dim + head % 16]);
      for (const float *segment : segments) {
        double factor = std::exp2(segment[16 * dim + head % 16] - largest);
        sum += factor * segment[16 * (dim + 1) + head % 16];
        for (int64_t i = 0; i < dim; ++i) sums[i] += factor * segment[head % 16 * dim + i];
      }
      if (sinking) sum += std::exp2(sinks[head] * kLog2E - largest);
      for (int64_t i = 0; i < dim; ++i) expected.push_back(sums[i] / sum);
    }
  draft.expect(draft.addResult(), expected, kAttentionBound);
  return draft;
}

} // namespace llmc::golden
