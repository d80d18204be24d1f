// The linear on unrounded inputs: one fma chain over 32 columns at a time, the chains' sums added in order.
#include "codegen/cpu/kinds/GroupScale.h"
#include "codegen/cpu/kinds/Linear.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kChain = 32; // columns of one fma chain

struct FloatLinear {
  KernelBuilder &k;
  const LinearConfig &config;
  const LinearDispatch &d;
  LinearOutputs &outputs;

  // 16 rows of column `column` of a block. Quantized: each exact product rounded once.
  Value weights(Value block, Value column) {
    if (!config.scheme) {
      int64_t bytes = KernelBuilder::elementBytes(config.element) * kLanes;
      return k.loadElements(config.element, k.at(block, k.mul(column, bytes)));
    }
    return quantized(block, column);
  }

  Value quantized(Value block, Value column) {
    auto &b = k.b;
    const Scheme &scheme = *config.scheme;
    int64_t g = scheme.group, perLine = scheme.bits == 4 ? 8 : 4;
    Value chunk = k.at(block, k.mul(k.div(column, 2 * g), scheme.chunk_bytes()));
    Value within = k.rem(column, 2 * g);
    GroupScale scale = loadGroupScales(k, scheme, k.at(chunk, k.mul(k.div(within, g), 2 * kLanes)), kLanes);
    Value line = k.at(chunk, k.add(k.mul(k.div(within, perLine), 64), 64));
    Value words = k.load(k.vec(k.i32Type()), line, 4);
    // Byte column mod 4 of each word; of 4-bit weights the upper nibble for columns 4..7 of a line.
    Value shift = k.mul(k.rem(within, 4), 8);
    if (scheme.bits == 4) shift = k.add(shift, k.mul(k.rem(k.div(within, 4), 2), 4));
    Value amount = k.broadcast(arith::TruncIOp::create(b, k.i32Type(), shift));
    Value u = arith::AndIOp::create(b, arith::ShRUIOp::create(b, words, amount),
                                    k.splatInt(scheme.bits == 4 ? 15 : 255));
    return dequantize(k, scheme, u, scale);
  }

  // One column of `rows` rows: part += x w.
  Values column(Value block, llvm::ArrayRef<Value> xs, Value index, ValueRange parts) {
    Value w = weights(block, index);
    Values next;
    for (auto [x, part] : llvm::zip(xs, parts))
      next.push_back(k.fma(w, k.broadcast(k.loadF32(k.at(x, k.mul(index, 4)))), part));
    return next;
  }

  Values zeros(int64_t count) { return Values(count, k.splat(0)); }

  Values accumulate(Value block, llvm::ArrayRef<Value> xs) {
    int64_t count = xs.size();
    Value whole = k.mul(k.div(d.columns, kChain), kChain);
    auto addAll = [&](ValueRange sums, ValueRange parts) {
      Values next;
      for (auto [sum, part] : llvm::zip(sums, parts)) next.push_back(k.addf(sum, part));
      return next;
    };
    Values sums = k.loop(k.i64(0), whole, kChain, zeros(count), [&](Value first, ValueRange carried) {
      Values parts = k.loop(k.i64(0), k.i64(kChain), 4, zeros(count), [&](Value i, ValueRange chain) {
        Values next(chain);
        for (int64_t j = 0; j < 4; ++j) next = column(block, xs, k.add(k.add(first, i), j), next);
        return next;
      });
      return addAll(carried, parts);
    });
    Values parts = k.loop(whole, d.columns, 1, zeros(count),
                          [&](Value i, ValueRange chain) { return column(block, xs, i, chain); });
    return addAll(sums, parts);
  }

  // `width` rows from row `row` of the tile at `first` on, of one unit.
  void rowsOf(Value unit, Value first, Value row, int64_t width) {
    Values xs;
    for (int64_t i = 0; i < width; ++i) xs.push_back(k.at(d.x, k.mul(k.mul(k.add(k.add(first, row), i), d.ldX), 4)));
    Value columnsStored = config.scheme ? k.mul(d.chunks, config.scheme->chunk_bytes())
                                        : k.mul(d.columns, KernelBuilder::elementBytes(config.element) * kLanes);
    llvm::SmallVector<Values> accumulators;
    for (int64_t i = 0; i < config.blocksPerUnit(); ++i) {
      Value block = k.add(k.mul(unit, config.blocksPerUnit()), i);
      accumulators.push_back(accumulate(k.at(d.weight, k.mul(block, columnsStored)), xs));
    }
    for (int64_t i = 0; i < width; ++i) {
      Values own;
      for (Values &block : accumulators) own.push_back(block[i]);
      finishUnit(k, config, d, outputs, unit, first, k.add(row, i), own);
    }
  }

  void oneRow(Value item) {
    outputs.units(item, [&](Value unit) { rowsOf(unit, k.i64(0), k.i64(0), 1); });
    outputs.finish(item, k.i64(0), k.i64(1));
  }

  void tile(Value item, Value first, Value rows, int64_t width) {
    outputs.units(item, [&](Value unit) {
      Value whole = k.mul(k.div(rows, width), width);
      k.loop(k.i64(0), whole, width, [&](Value row) { rowsOf(unit, first, row, width); });
      if (width > 1) k.loop(whole, rows, 1, [&](Value row) { rowsOf(unit, first, row, 1); });
    });
    outputs.finish(item, first, rows);
  }
};

} // namespace

void emitFloatLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                     const VariantInfo &variant) {
  FloatLinear linear{k, config, d, outputs};
  // Gated accumulators live side by side: half as many rows fit the registers.
  int64_t width = std::max<int64_t>(1, variant.width / config.blocksPerUnit());
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    if (variant.lastRows <= 1) return linear.oneRow(item);
    k.loop(k.i64(0), d.n, kTileRows,
           [&](Value first) { linear.tile(item, first, k.min(k.sub(d.n, first), k.i64(kTileRows)), width); });
  });
}

} // namespace llmc::cpu
