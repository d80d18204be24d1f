// Golden vectors of linear_heads.
#include "codegen/golden/Draft.h"

#include <cmath>

namespace llmc::golden {

using codegen::CpuTier;

namespace {

constexpr double kHeadBound = 2e-5; // over the largest value; what is rounded may come out either way within it

struct HeadsCase {
  static constexpr int64_t K = 72, heads = 2, kvHeads = 1, keyDim = 48, valueDim = 16, half = 18, halfPad = 32;
  static constexpr int64_t queries = heads * keyDim, keys = kvHeads * keyDim, values = kvHeads * valueDim;
  static constexpr int64_t N = queries + keys + values, first = 13; // position of the first row
  exec::KernelOp kernel;
  int64_t n, blocks, pages;
  reference::RopeSpec spec;
  std::vector<float> frequencies;
  std::vector<int64_t> angles; // positions that the rope table is of
  Floats queryNorm = numbers(keyDim, 5), keyNorm = numbers(keyDim, 6);

  HeadsCase(exec::KernelOp kernel, int64_t n)
      : kernel(kernel), n(n), blocks(ceilDiv(first + n, 16)), pages(blocks + 1) {
    spec.dim = 2 * half;
    spec.interleaved = cpu::configString(kernel, "rope") == "interleaved";
    frequencies = reference::ropeFrequencies(spec, 0);
    for (int64_t row = 0; row < n; ++row) angles.push_back(3 * row + 2);
  }

  bool turns() const { return cpu::configString(kernel, "rope") != "none"; }
  bool norms() const { return cpu::configString(kernel, "norm") != "none"; }
  std::vector<int64_t> scalars() const {
    const Scheme *scheme = schemeOf(kernel);
    llvm::StringRef activations = cpu::configString(kernel, "activations");
    int64_t chunks = linearChunks(kernel, K);
    std::vector<int64_t> all{n, K, N, N / 16, chunks, activations == "float" ? K : 0, queries};
    if (activations == "int8") all.push_back(ceilDiv(chunks * scheme->columns_per_chunk(), 128));
    all.insert(all.end(), {heads, kvHeads, keyDim / 16, valueDim / 16, half, halfPad, 1, blocks, pages});
    return all;
  }
  PageShape shape() const { return {cpu::configString(kernel, "cache").str(), kvHeads, keyDim, valueDim, valueDim}; }

  // Columns [column, column + width) of the linear's outputs, as heads go on.
  std::vector<double> part(const std::vector<double> &outputs, int64_t column, int64_t width,
                           const Floats &weight) const {
    std::vector<double> rows;
    for (int64_t row = 0; row < n; ++row)
      rows.insert(rows.end(), outputs.begin() + row * N + column, outputs.begin() + row * N + column + width);
    if (weight.empty()) return rows;
    if (norms())
      rows = reference::norm(reference::Norm::Rms, rows, width, keyDim, toDouble(weight), {},
                             cpu::configFloat(kernel, "epsilon"));
    return turns() ? reference::rope(spec, frequencies, rows, angles, width / keyDim, keyDim) : rows;
  }
};

double largestOf(const std::vector<double> &values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// The pages of rows that begin at position `first`, all numbers moved by `move` of the largest.
Bytes poolOf(const HeadsCase &c, const std::vector<int32_t> &table, const std::vector<double> &keys,
             const std::vector<double> &values, double move) {
  auto moved = [&](const std::vector<double> &rows, int64_t width) {
    std::vector<double> all(HeadsCase::first * width);
    double shift = move * largestOf(rows);
    for (double value : rows) all.push_back(value + shift);
    return all;
  };
  std::vector<double> k = moved(keys, HeadsCase::keys), v = moved(values, HeadsCase::values);
  return packPages(c.shape(), table, c.pages, k, v);
}

// Elements of `size` bytes that are the same whichever way the last places fall, in up to `most` runs: a vector has not
// many results. Single bytes of an element that changes may be alike at both ends and differ between them.
void expectCertain(Draft &draft, size_t operand, size_t from, size_t to, size_t size, const Bytes &low,
                   const Bytes &high, size_t most) {
  std::vector<std::pair<size_t, size_t>> runs;
  auto isCertain = [&](size_t at) { return std::equal(&low[at], &low[at] + size, &high[at]); };
  for (size_t at = from; at < to;) {
    size_t end = at;
    while (end < to && isCertain(end)) end += size;
    if (end > at) runs.push_back({at, end});
    at = end + size;
  }
  llvm::sort(runs, [](auto a, auto b) {
    return std::pair(b.second - b.first, a.first) < std::pair(a.second - a.first, b.first);
  });
  if (runs.size() > most) runs.resize(most);
  for (auto [begin, end] : runs)
    draft.golden.results.push_back({operand, begin, Bytes(low.begin() + begin, low.begin() + end), 0});
}

void expectFloats(Draft &draft, size_t operand, size_t from, size_t to, const Bytes &bytes) {
  draft.golden.results.push_back({operand, from, Bytes(bytes.begin() + from, bytes.begin() + to), kHeadBound});
}

void expectPool(Draft &draft, size_t operand, const HeadsCase &c, const std::vector<int32_t> &table,
                const std::vector<double> &keys, const std::vector<double> &values) {
  Bytes pool = poolOf(c, table, keys, values, 0);
  if (c.shape().element == "f32") return expectFloats(draft, operand, 0, pool.size(), pool);
  Bytes low = poolOf(c, table, keys, values, -kHeadBound), high = poolOf(c, table, keys, values, kHeadBound);
  constexpr size_t kRuns = 48;
  if (c.shape().element != "int8") return expectCertain(draft, operand, 0, pool.size(), 2, low, high, kRuns);
  // One KV head: a page is its scales, then what they multiply.
  constexpr size_t kScales = 2 * 16 * 4;
  static_assert(HeadsCase::kvHeads == 1);
  size_t pageBytes = size_t(c.shape().pageBytes());
  for (int32_t page : table) {
    size_t start = page * pageBytes;
    expectFloats(draft, operand, start, start + kScales, pool);
    expectCertain(draft, operand, start + kScales, start + pageBytes, 1, low, high, kRuns / table.size());
  }
}

} // namespace

Draft makeLinearHeads(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  HeadsCase c(kernel, n);
  constexpr int64_t K = HeadsCase::K, N = HeadsCase::N;
  Draft draft(kernel, tier, c.scalars());
  std::vector<double> input = addLinearInput(draft, K, tier);
  Floats weight = numbers(N * K, 4);
  draft.add(packMatrix(schemeOf(kernel), cpu::configString(kernel, "element"), weight, N, K));
  std::vector<Floats> vectors;
  for (int64_t i = 0; i < cpu::configInt(kernel, "vectors"); ++i) vectors.push_back(numbers(N, 15 + i));
  for (const Floats &values : vectors) draft.add(values);
  if (c.turns()) draft.add(ropeTable(c.frequencies, c.angles));
  if (c.norms()) draft.add(c.queryNorm), draft.add(c.keyNorm);
  std::vector<int32_t> positions, table;
  for (int64_t row = 0; row < n; ++row) positions.push_back(int32_t(HeadsCase::first + row));
  for (int64_t block = 0; block < c.blocks; ++block) table.push_back(int32_t(c.pages - 1 - block));
  draft.add(positions);
  draft.add(std::vector<int32_t>(n, 0));
  draft.add(table);
  size_t pool = draft.addResult(), out = draft.addResult();

  std::vector<double> outputs = reference::linear(input, n, K, roundedWeight(kernel, weight, N, K), N);
  reference::Epilogue epilogue = epilogueOf(kernel);
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::vector<double> arguments{outputs[i]};
    for (const Floats &values : vectors) arguments.push_back(values[i % N]);
    outputs[i] = epilogue.run(arguments);
  }
  draft.expect(out, c.part(outputs, 0, HeadsCase::queries, c.queryNorm), kHeadBound);
  expectPool(draft, pool, c, table, c.part(outputs, HeadsCase::queries, HeadsCase::keys, c.keyNorm),
             c.part(outputs, HeadsCase::queries + HeadsCase::keys, HeadsCase::values, {}));
  return draft;
}

} // namespace llmc::golden
