#include "codegen/gpu/kinds/MatrixLinear.h"

#include "runtime/packing/affine_search.h"

namespace llmc::gpu {

using namespace mlir;

// An f32 from 2^20 on has its steps of 1/8 in its last bits, which are those of offsets: 2^20 + u less 2^20 + zero - offset
// is the weight without its scale, and nothing is rounded. It has at most 8 bits: bf16 holds it.
static constexpr int64_t kStepBits = 3;
static constexpr int32_t kTwoTo20 = (127 + 20) << 23;
// So has a bf16 from 16 to 32: where u has 4 bits, 16 + u less 16 + zero - offset is the weight, and bf16 rounds none of them.
static constexpr int32_t kSixteen = (127 + 4) << 7, kMinus = 1 << 15;
static_assert(packing::kOffsetStep == 1.0f / (1 << kStepBits));

MatrixLinear::MatrixLinear(GpuBuilder &k, exec::KernelOp kernel)
    : k(k), output(k, kernel, kWeight + 1), scheme(configScheme(kernel)), parts(cpu::configBool(kernel, "gated") ? 2 : 1),
      chains(k.mul(k.scalar(kChunks), scheme ? scheme->columns_per_chunk() / kChain : 1)), x(k, k.scalar(kRows), chains) {
  Value inWarp = k.rem(k.thread(), kWarp);
  warp = k.div(k.thread(), kWarp);
  group = k.div(inWarp, 4);
  member = k.rem(inWarp, 4);
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

Value MatrixLinear::zeroOf(Value scales, int64_t row, int32_t base) {
  auto &b = k.b;
  int32_t zero = base + (scheme->zero << kStepBits);
  if (!scheme->affine) return k.i32(zero);
  Value steps = arith::ShRUIOp::create(b, scales, k.i32(int32_t(16 * row + 10)));
  if (row == 0) steps = arith::AndIOp::create(b, steps, k.i32(63));
  return arith::SubIOp::create(b, k.i32(zero + packing::kNoOffset), steps);
}

Value MatrixLinear::pair(Value first, Value second) {
  auto &b = k.b;
  auto bits = [&](Value x) -> Value { return arith::BitcastOp::create(b, k.i32Type(), x); };
  Value low = arith::ShRUIOp::create(b, bits(first), k.i32(16));
  return arith::OrIOp::create(b, low, arith::AndIOp::create(b, bits(second), k.i32(int32_t(0xffff0000))));
}

// Both numbers of a pair at a time.
Values MatrixLinear::nibblePairs(Value word, Value scales, int64_t row) {
  auto &b = k.b;
  constexpr int32_t kBoth = 0x10001;
  Value zeros = arith::MulIOp::create(b, zeroOf(scales, row, kMinus + kSixteen), k.i32(kBoth));
  Values pairs;
  for (int32_t shift = -int32_t(kStepBits); shift < 16 - kStepBits; shift += 4) {
    Value steps = shift < 0 ? Value(arith::ShLIOp::create(b, word, k.i32(-shift)))
                            : Value(arith::ShRUIOp::create(b, word, k.i32(shift)));
    steps = arith::AndIOp::create(b, steps, k.i32((15 << kStepBits) * kBoth));
    pairs.push_back(k.addPairs(arith::OrIOp::create(b, steps, k.i32(kSixteen * kBoth)), zeros));
  }
  return pairs;
}

Values MatrixLinear::quantizedPairs(ValueRange words, Value scales, int64_t row) {
  auto &b = k.b;
  // What stands for matrix units stands for sums of pairs too, and is longer.
  if (scheme->bits == 4 && k.matrixUnits() != MatrixUnits::None) return nibblePairs(words[0], scales, row);
  Value zero = arith::BitcastOp::create(b, k.f32Type(), zeroOf(scales, row, kTwoTo20));
  bool nibbles = scheme->bits == 4;
  auto column = [&](int64_t i) -> Value {
    Value word = words[nibbles ? 0 : i / 4];
    int64_t shift = 8 * (i % 4) + (nibbles ? 4 * (i / 4) : 0);
    Value steps = shift < kStepBits ? Value(arith::ShLIOp::create(b, word, k.i32(int32_t(kStepBits - shift))))
                                    : Value(arith::ShRUIOp::create(b, word, k.i32(int32_t(shift - kStepBits))));
    steps = arith::AndIOp::create(b, steps, k.i32((nibbles ? 15 : 255) << kStepBits));
    Value number = arith::BitcastOp::create(b, k.f32Type(), arith::OrIOp::create(b, steps, k.i32(kTwoTo20)));
    return k.subf(number, zero);
  };
  Values pairs;
  for (auto [first, second] : Bf16Tiles::kPairs) pairs.push_back(pair(column(first), column(second)));
  return pairs;
}

std::array<Values, 2> MatrixLinear::weights(Load load, Value scales) {
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
    upper = quantizedPairs(even, scales, 0);
    lower = quantizedPairs(odd, scales, 1);
  } else {
    Values columns; // a word is both rows
    for (int64_t i = 0; i < 8; ++i) columns.push_back(load(k.add(k.mul(member, 8), i), group));
    for (auto [first, second] : Bf16Tiles::kPairs) {
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

} // namespace llmc::gpu
