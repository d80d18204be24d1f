#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

using namespace mlir;

MatrixLinear::MatrixLinear(GpuBuilder &k, exec::KernelOp kernel)
    : k(k), kernel(kernel), scheme(configScheme(kernel)), parts(cpu::configBool(kernel, "gated") ? 2 : 1),
      rows(int(cpu::configInt(kernel, "rows"))), vectors(int(cpu::configInt(kernel, "vectors"))) {
  Value inWarp = k.rem(k.thread(), kWarp);
  warp = k.div(k.thread(), kWarp);
  group = k.div(inWarp, 4);
  member = k.rem(inWarp, 4);
  chains = k.mul(k.scalar(kChunks), scheme ? scheme->columns_per_chunk() / kChain : 1);
  paddedPairs = k.mul(chains, kChain / 2);
}

Value MatrixLinear::blockStart(Value block) {
  return k.mul(block, blockWords(k, scheme, "bf16", scheme ? k.scalar(kChunks) : k.scalar(kColumns)));
}

Value MatrixLinear::chainStart(Value blockStart, Value chain) {
  if (!scheme) return k.add(blockStart, k.mul(chain, chainWords()));
  int64_t perChunk = scheme->columns_per_chunk() / kChain;
  Value chunk = k.add(blockStart, k.mul(k.div(chain, perChunk), scheme->chunk_bytes() / 4));
  return k.add(k.add(chunk, 16), k.mul(k.rem(chain, perChunk), chainWords()));
}

Value MatrixLinear::scaleStart(Value blockStart, Value chain) {
  int64_t perChunk = scheme->columns_per_chunk() / kChain;
  Value chunk = k.add(blockStart, k.mul(k.div(chain, perChunk), scheme->chunk_bytes() / 4));
  return k.add(chunk, k.mul(k.div(k.rem(chain, perChunk), perChunk / 2), kLanes / 2));
}

// 2^23 + u is an f32 with u in its last bits; what is taken away again leaves u - zero, without rounding.
Value MatrixLinear::small(Value word, int64_t shift) {
  auto &b = k.b;
  Value u = arith::AndIOp::create(b, arith::ShRUIOp::create(b, word, k.i32(int32_t(shift))), k.i32(scheme->bits == 4 ? 15 : 255));
  Value number = arith::BitcastOp::create(b, k.f32Type(), arith::OrIOp::create(b, u, k.i32(0x4b000000)));
  return k.subf(number, k.f32(double(0x800000 + scheme->zero)));
}

Value MatrixLinear::pair(Value first, Value second) {
  auto &b = k.b;
  auto bits = [&](Value x) -> Value { return arith::BitcastOp::create(b, k.i32Type(), x); };
  Value low = arith::ShRUIOp::create(b, bits(first), k.i32(16));
  return arith::OrIOp::create(b, low, arith::AndIOp::create(b, bits(second), k.i32(int32_t(0xffff0000))));
}

// The pairs of bf16 rows: columns 0 2, 4 6, 1 3, 5 7.
static constexpr int64_t kPairs[4][2] = {{0, 2}, {4, 6}, {1, 3}, {5, 7}};

Values MatrixLinear::quantizedPairs(ValueRange words) {
  auto column = [&](int64_t i) {
    bool nibbles = scheme->bits == 4;
    return small(words[nibbles ? 0 : i / 4], 8 * (i % 4) + (nibbles ? 4 * (i / 4) : 0));
  };
  Values pairs;
  for (auto [first, second] : kPairs) pairs.push_back(pair(column(first), column(second)));
  return pairs;
}

std::array<Values, 2> MatrixLinear::weights(Load load) {
  auto &b = k.b;
  Values upper, lower; // pairs of rows 2 group and 2 group + 1
  if (scheme) {
    int64_t lines = scheme->bits == 4 ? 1 : 2;
    Values even, odd;
    for (int64_t i = 0; i < lines; ++i) {
      Value line = k.add(k.mul(member, lines), i), word = k.mul(group, 2);
      even.push_back(load(line, word));
      odd.push_back(load(line, k.add(word, 1)));
    }
    upper = quantizedPairs(even);
    lower = quantizedPairs(odd);
  } else {
    Values columns; // a word is both rows
    for (int64_t i = 0; i < 8; ++i) columns.push_back(load(k.add(k.mul(member, 8), i), group));
    for (auto [first, second] : kPairs) {
      Value x = columns[size_t(first)], y = columns[size_t(second)], mask = k.i32(0xffff), sixteen = k.i32(16);
      upper.push_back(arith::OrIOp::create(b, arith::AndIOp::create(b, x, mask), arith::ShLIOp::create(b, y, sixteen)));
      Value high = arith::AndIOp::create(b, y, k.i32(int32_t(0xffff0000)));
      lower.push_back(arith::OrIOp::create(b, arith::ShRUIOp::create(b, x, sixteen), high));
    }
  }
  return {Values{upper[0], lower[0], upper[1], lower[1]}, Values{upper[2], lower[2], upper[3], lower[3]}};
}

Values MatrixLinear::chainSum(const std::array<Values, 2> &weights, ValueRange x) {
  Values sum = k.mma("bf16", weights[0], x.take_front(2), k.zeros(4));
  return k.mma("bf16", weights[1], x.drop_front(2), sum);
}

void MatrixLinear::finish(Value item, Value lane, Value token, ValueRange accumulators) {
  Value output = k.add(k.mul(item, kLanes), lane);
  Value exists = k.logicalAnd(k.less(output, k.scalar(kOutputs)), k.less(token, k.scalar(kRows)));
  k.ifThen(exists, [&] {
    codegen::EpilogueInputs inputs;
    inputs.accumulators.assign(accumulators.begin(), accumulators.end());
    for (int i = 0; i < rows; ++i)
      inputs.rows.push_back(k.loadF32(2 + i, k.add(k.mul(token, k.scalar(kFirstLd + i)), output)));
    for (int i = 0; i < vectors; ++i)
      for (int64_t part = 0; part < parts; ++part) {
        Value block = k.add(k.mul(item, parts), part);
        inputs.vectors.push_back(k.loadF32(2 + rows + i, k.add(k.mul(block, kLanes), lane)));
      }
    Value result = codegen::emitEpilogue(k, kernel.getEpilogue(), inputs);
    k.storeF32(out(), result, k.add(k.mul(token, k.scalar(kLdOut)), output));
  });
}

} // namespace llmc::gpu
