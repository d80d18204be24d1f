// The linear on inputs rounded to bf16: a chain of pairs over 32 columns, chains times their weight scale added in order.
// Weights are exact in bf16: the integers of a scheme, or stored as bf16 and without a scale. An affine scheme's offset
// times the sum of a chain's inputs, which are added in the order of a chain, joins the chain before the scale.
#include "codegen/cpu/PairDot.h"
#include "codegen/cpu/kinds/GroupScale.h"
#include "codegen/cpu/kinds/LinearTiles.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kPrefetchAhead = 8 << 10;
constexpr int64_t kStepsPerChain = kChainColumns / kStepColumns;
constexpr int64_t kTailBytes = 2 * kLanes * kChainColumns; // a chain of stored bf16
constexpr int64_t kInputSumBytes = 4 * kTileRows;          // of a chain, a tile's

class Bf16Linear : public TiledLinear {
public:
  Bf16Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs)
      : TiledLinear(k, config, d, outputs,
                    config.scheme ? k.mul(d.chunks, config.scheme->chunk_bytes()) : k.mul(d.columns, 2 * kLanes)),
        scheme(config.scheme), dot(k, config.scheme) {}

private:
  const Scheme *scheme;
  PairDot dot;

  Values zeros(int64_t count) { return Values(count, k.splat(0)); }
  int64_t chainsPerChunk() const { return config.columnsPerChunk() / kChainColumns; }
  int64_t chainBytes() const { return kStepsPerChain * dot.stepBytes(); }
  int64_t pairBytes() const { return 2 * PairDot::inputBytes(k.tier); }

  RowTile tileAt(Value first, Value rows) override {
    Value rowBytes = k.mul(d.chunks, config.columnsPerChunk() * PairDot::inputBytes(k.tier));
    return {first, rows, k.at(d.x, k.mul(first, rowBytes)), {}, {}};
  }

  // Chains side by side, so that there are sums enough to hide latency.
  int64_t together(int64_t count) const {
    int64_t most = k.tier.vectorBits == 512 ? 4 : 2;
    return std::min(std::max<int64_t>(most / count, 1), scheme ? chainsPerChunk() : most);
  }

  struct Chain {
    Value weights;
    GroupScale scales; // null where there are none
  };
  Chain chainAt(Value block, Value index, bool prefetch) {
    if (!scheme) return {k.at(block, k.mul(index, chainBytes())), {}};
    Value chunk = k.at(block, k.mul(k.div(index, chainsPerChunk()), scheme->chunk_bytes()));
    Value within = k.rem(index, chainsPerChunk());
    if (prefetch) k.prefetchL2(k.at(chunk, kPrefetchAhead));
    Value scaleAt = k.mul(k.div(within, scheme->group / kChainColumns), 2 * kLanes);
    return {k.at(chunk, k.add(k.mul(within, chainBytes()), 64)), loadGroupScales(k, *scheme, k.at(chunk, scaleAt), kLanes)};
  }

  Value inputSum(Value chain, Value row) {
    return k.at(k.scratch(), k.add(k.add(k.mul(chain, kInputSumBytes), k.mul(row, 4)), scratchBytes()));
  }

  // The sums of a tile's inputs, a chain's side by side. Items would each need them: a dot of ones as long as theirs.
  void prepare(const RowTile &tile) override {
    if (!scheme || !scheme->affine) return;
    PairDot::Pair ones = dot.ones();
    k.loop(k.i64(0), k.mul(d.chunks, chainsPerChunk()), 1, [&](Value chain) {
      Value pairs = k.at(tile.inputs, k.mul(k.mul(chain, kChainColumns / 2), k.mul(tile.rows, pairBytes())));
      k.loop(k.i64(0), tile.rows, 1, [&](Value row) {
        Value sum = k.splat(0);
        for (int64_t pair = 0; pair < kChainColumns / 2; ++pair) {
          Value at = k.mul(k.add(k.mul(tile.rows, pair), row), pairBytes());
          sum = dot.add(sum, ones, k.at(pairs, at));
        }
        k.store(vector::ExtractOp::create(k.b, sum, int64_t(0)), inputSum(chain, row));
      });
    });
  }

  // One step of each chain: `parts` has `count` sums of each.
  Values step(llvm::ArrayRef<Chain> chains, llvm::ArrayRef<Value> inputs, Value number, const RowTile &tile,
              Values parts) {
    int64_t count = parts.size() / chains.size();
    Value pairStride = k.mul(tile.rows, pairBytes()), weightsAt = k.mul(number, dot.stepBytes());
    std::vector<PairDot::Step> weights;
    for (const Chain &chain : chains) {
      Value pointer = k.at(chain.weights, weightsAt);
      if (count > 2)
        for (int64_t line = 0; line < dot.stepBytes(); line += 64) k.prefetchL2(k.at(pointer, kPrefetchAhead + line));
      weights.push_back(dot.load(pointer));
    }
    for (int64_t pair = 0; pair < kStepPairs; ++pair)
      for (auto [c, input] : llvm::enumerate(inputs)) {
        Value at = k.at(input, k.mul(k.add(k.mul(number, kStepPairs), pair), pairStride));
        for (int64_t i = 0; i < count; ++i) {
          Value &part = parts[c * count + i];
          part = dot.add(part, weights[c][pair], k.at(at, i * pairBytes()));
        }
      }
    return parts;
  }

  // sums + the chains, one after the other; `first`: the number of the first.
  Values fold(llvm::ArrayRef<Chain> chains, Value first, const RowTile &tile, Value t, ValueRange sums) {
    int64_t count = sums.size();
    Values inputs, parts = zeros(count * int64_t(chains.size())), next(sums);
    for (size_t c = 0; c < chains.size(); ++c) {
      Value pairs = k.mul(k.add(first, int64_t(c)), kChainColumns / 2);
      inputs.push_back(k.at(tile.inputs, k.mul(k.add(k.mul(pairs, tile.rows), t), pairBytes())));
    }
    // Unrolled, several chains' weights would all be made ready first and fill the stack.
    if (PairDot::isNative(k.tier) && chains.size() == 1 && scheme) {
      for (int64_t i = 0; i < kStepsPerChain; ++i) parts = step(chains, inputs, k.i64(i), tile, parts);
    } else {
      parts = k.loop(k.i64(0), k.i64(kStepsPerChain), 1, parts, [&](Value i, ValueRange carried) {
        return step(chains, inputs, i, tile, Values(carried));
      });
    }
    for (auto [c, chain] : llvm::enumerate(chains))
      for (int64_t i = 0; i < count; ++i) {
        Value part = parts[c * count + i];
        if (chain.scales.offset) {
          Value sum = k.loadF32(inputSum(k.add(first, int64_t(c)), k.add(t, i)));
          part = k.fma(chain.scales.offset, k.broadcast(sum), part);
        }
        next[i] = chain.scales.scale ? k.fma(part, chain.scales.scale, next[i]) : k.addf(next[i], part);
      }
    return next;
  }

  Values run(Value block, Value from, Value to, int64_t together, const RowTile &tile, Value t, ValueRange sums) {
    return k.loop(from, to, together, sums, [&](Value first, ValueRange carried) {
      llvm::SmallVector<Chain> chains;
      for (int64_t c = 0; c < together; ++c)
        chains.push_back(chainAt(block, k.add(first, c), c == 0 && carried.size() > 2));
      return fold(chains, first, tile, t, carried);
    });
  }

  // The last columns of stored bf16: they are copied, and what lies behind them is not touched.
  Value copyOfTail(Value block, Value first) {
    Value copy = k.at(k.scratch(), scratchBytes()), source = k.at(block, k.mul(first, 2 * kLanes));
    Value left = k.sub(d.columns, first);
    VectorType column = k.vec(k.b.getI16Type());
    Value nothing = arith::ConstantOp::create(k.b, DenseElementsAttr::get(column, int16_t(0)));
    auto at = [&](Value base, Value i) { return k.at(base, k.mul(i, 2 * kLanes)); };
    k.loop(k.i64(0), left, 1, [&](Value i) { k.store(k.load(column, at(source, i), 2), at(copy, i), 2); });
    k.loop(left, k.i64(kChainColumns), 1, [&](Value i) { k.store(nothing, at(copy, i), 2); });
    return copy;
  }

  // Stored bf16 has whole chains and at most one that is not.
  Values storedDots(Value block, const RowTile &tile, Value t, int64_t count) {
    int64_t side = together(count);
    Value whole = k.div(d.columns, kChainColumns), most = k.mul(k.div(whole, side), side);
    Values sums = run(block, k.i64(0), most, side, tile, t, zeros(count));
    if (side > 1) sums = run(block, most, whole, 1, tile, t, sums);
    return k.loop(whole, d.chunks, 1, sums, [&](Value index, ValueRange carried) {
      Chain last{copyOfTail(block, k.mul(index, kChainColumns)), {}};
      return fold(last, index, tile, t, carried);
    });
  }

  void dots(Value block, const RowTile &tile, Value t, int64_t count, Value out) override {
    Value chains = k.mul(d.chunks, chainsPerChunk());
    Values sums = scheme ? run(block, k.i64(0), chains, together(count), tile, t, zeros(count))
                         : storedDots(block, tile, t, count);
    for (auto [row, sum] : llvm::enumerate(sums)) k.store(sum, k.at(out, 64 * int64_t(row)), 64);
  }
};

} // namespace

LinearScratch bf16Scratch(const LinearConfig &config, const codegen::CpuTier &tier) {
  int64_t sums = config.scheme && config.scheme->affine ? config.columnsPerChunk() / kChainColumns * kInputSumBytes : 0;
  return {TiledLinear::scratchBytes(config, tier) + (config.scheme ? 0 : kTailBytes), sums};
}

void emitBf16Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                    const VariantInfo &variant) {
  Bf16Linear(k, config, d, outputs).emit(variant);
}

} // namespace llmc::cpu
