// linear_heads against the kinds that it stands for: linear, rope of the query heads and of the key heads, cache_write.
// Queries and the whole pool are the same bytes, on every tier.
#include "codegen/schemes/Scheme.h"
#include "test/conformance/HeadsCases.h"

#include <gtest/gtest.h>

namespace llmc::conformance {
namespace {

using namespace heads;
using Bytes = std::vector<char>;

// Rows of two sequences in turn, whose pages lie anyhow.
struct Step {
  static constexpr int64_t S = 2, B = 3, P = 9, first = 13;
  int64_t n;
  std::vector<Bytes> inputs; // of the linear, up to the vectors
  std::vector<int64_t> linear; // scalars, but for ldo
  Bytes angles, queryNorm, keyNorm, positions, sequences, pages;

  Step(const Case &c, int64_t n, const Kernel &kernel) : n(n) {
    const Scheme *scheme = findScheme(c.scheme);
    bool int8 = c.activations == std::string("int8"), bf16 = c.activations == std::string("bf16");
    int64_t unit = scheme ? scheme->columns_per_chunk() : bf16 ? 32 : 1, chunks = ceilDiv(c.K, unit);
    linear = {n, c.K, c.N(), c.N() / 16, chunks, int8 || bf16 ? 0 : c.K, 0};
    if (int8) linear.push_back(ceilDiv(chunks * unit, 128));
    std::vector<float> x = randomFloats(n * c.K, 1);
    if (int8) {
      golden::Int8Operands rounded = golden::packInt8Rows(*scheme, reference::quantizeInt8(toDouble(x), n, c.K), n, c.K);
      inputs = {rounded.q, rounded.corr, rounded.scale};
    } else if (bf16) {
      int64_t bytes = kernel.extent(0, linear) / (n * chunks * unit);
      inputs = {golden::packBf16Rows(golden::roundToBf16(toDouble(x)), n, c.K, chunks * unit, bytes)};
    } else {
      inputs = {bytesOf(x)};
    }
    inputs.push_back(packRows(c.scheme, c.element, randomFloats(c.N() * c.K, 2), c.N(), c.K));
    if (c.bias) inputs.push_back(bytesOf(randomFloats(c.N(), 3)));
    angles = bytesOf(randomFloats(2 * n * c.halfPad(), 4));
    queryNorm = bytesOf(randomFloats(c.keyDim, 5)), keyNorm = bytesOf(randomFloats(c.keyDim, 6));
    std::vector<int32_t> at, of;
    for (int64_t row = 0; row < n; ++row) at.push_back(int32_t(first + row / S)), of.push_back(int32_t(row % S));
    positions = bytesOf(at), sequences = bytesOf(of), pages = bytesOf(std::vector<int32_t>{7, 2, 5, 0, 8, 3});
  }

  std::vector<Bytes *> linearOperands() {
    std::vector<Bytes *> all;
    for (Bytes &input : inputs) all.push_back(&input);
    return all;
  }
  std::vector<int64_t> linearScalars(int64_t ldOut) const {
    std::vector<int64_t> all = linear;
    all[6] = ldOut;
    return all;
  }
};

// What a step leaves behind; each begins full of a pattern, so that what is not to be written shows.
struct Result {
  int64_t ld; // of queries
  Bytes queries, pool;

  Result(const Case &c, int64_t n) : ld(c.queries() + 16), queries(n * ld * 4, 0x55) {
    std::string cache = c.cache;
    int64_t bytes = cache == "f32" ? 4 : cache == "int8" ? 1 : 2, scales = cache == "int8" ? 2 * 4 : 0;
    pool.assign(Step::P * c.kvHeads * 16 * ((c.keyDim + c.valueDim) * bytes + scales), 0x55);
  }
};

void runHeads(const Case &c, Step &step, Result &result, const std::string &device, Guard guard, int64_t piece) {
  std::vector<Bytes *> operands = step.linearOperands();
  if (c.turns()) operands.push_back(&step.angles);
  if (c.norm) operands.insert(operands.end(), {&step.queryNorm, &step.keyNorm});
  operands.insert(operands.end(), {&step.positions, &step.sequences, &step.pages, &result.pool, &result.queries});
  std::vector<int64_t> scalars = step.linearScalars(result.ld);
  scalars.insert(scalars.end(), {c.heads, c.kvHeads, c.keyDim / 16, c.valueDim / 16, c.half, c.halfPad(), Step::S,
                                 Step::B, Step::P});
  cachedKernel(headsText(c), device).run(operands, scalars, guard, piece);
}

// Heads in columns [column, column + heads x keyDim) of `rows`, to the first columns of `out`.
void runRope(const Case &c, Step &step, const Bytes &rows, int64_t column, int64_t heads, Bytes &norm, Bytes &out,
             int64_t ldOut, const std::string &device) {
  Bytes in(rows.begin() + column * 4, rows.end());
  if (!c.changes()) {
    for (int64_t row = 0; row < step.n; ++row)
      std::copy_n(in.begin() + row * c.N() * 4, heads * c.keyDim * 4, out.begin() + row * ldOut * 4);
    return;
  }
  std::vector<Bytes *> operands{&in};
  if (c.turns()) operands.push_back(&step.angles);
  if (c.norm) operands.push_back(&norm);
  operands.push_back(&out);
  cachedKernel(ropeText(c), device).run(operands, {step.n, heads, c.keyDim, c.half, c.halfPad(), c.N(), ldOut});
}

void runApart(const Case &c, Step &step, Result &result, const std::string &device) {
  std::vector<Bytes *> operands = step.linearOperands();
  Bytes rows(step.n * c.N() * 4), keys(step.n * c.keys() * 4);
  operands.push_back(&rows);
  cachedKernel(linearText(c), device).run(operands, step.linearScalars(c.N()));
  runRope(c, step, rows, 0, c.heads, step.queryNorm, result.queries, result.ld, device);
  runRope(c, step, rows, c.queries(), c.kvHeads, step.keyNorm, keys, c.keys(), device);
  Bytes values(rows.begin() + (c.queries() + c.keys()) * 4, rows.end());
  cachedKernel(cacheWriteText(c), device)
      .run({&keys, &values, &step.positions, &step.sequences, &step.pages, &result.pool},
           {step.n, c.keys(), c.N(), c.kvHeads, c.keyDim, c.valueDim, c.valueDim, Step::S, Step::B, Step::P});
}

TEST(HeadsKernels, HaveTheBytesOfTheKernelsTheyStandFor) {
  for (const std::string &device : devices())
    for (const Case &c : kCases) {
      if (!takes(device, {headsText(c), linearText(c), ropeText(c), cacheWriteText(c)})) continue;
      for (int64_t n : cachedKernel(linearText(c), device).rowsOfTiles()) { // only CPUs have this kind
        Step step(c, n, cachedKernel(linearText(c), device));
        Result apart(c, n), whole(c, n), pieces(c, n);
        runApart(c, step, apart, device);
        runHeads(c, step, whole, device, Guard::End, INT64_MAX);
        runHeads(c, step, pieces, device, Guard::Start, 1);
        std::string where = std::string(c.scheme) + " " + c.activations + " " + c.rope + " " + c.cache + " with " +
                            std::to_string(n) + " rows on " + device;
        EXPECT_TRUE(whole.queries == apart.queries) << "queries, " << where;
        EXPECT_TRUE(whole.pool == apart.pool) << "pages, " << where;
        EXPECT_TRUE(pieces.queries == apart.queries && pieces.pool == apart.pool) << "head by head, " << where;
      }
    }
}

// Tiers that this machine cannot run are at least compiled.
TEST(HeadsKernels, EveryTierHasCode) {
  for (const codegen::CpuTier &tier : codegen::cpuTiers())
    for (size_t i : {3, 5, 7}) {
      const Case &c = kCases[i];
      Step step(c, 1, cachedKernel(linearText(c), tier.name));
      std::vector<int64_t> scalars = step.linearScalars(c.queries());
      scalars.insert(scalars.end(), {c.heads, c.kvHeads, c.keyDim / 16, c.valueDim / 16, c.half, c.halfPad(), 1, 1, 1});
      EXPECT_EQ(cachedKernel(headsText(c), tier.name).items(scalars), c.heads + 2 * c.kvHeads) << tier.name;
    }
}

} // namespace
} // namespace llmc::conformance
