#include "codegen/cpu/PairDot.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

// The first columns of a step's pairs; the second ones are two further. A nibble's place in its word is what makes this
// order cheap: one shift brings both of a pair to the front of their halves.
static constexpr int64_t kPairStarts[kStepPairs] = {0, 4, 1, 5};

PairDot::PairDot(KernelBuilder &k, const Scheme *scheme) : k_(k), scheme_(scheme), native_(isNative(k.tier)) {}

bool PairDot::isNative(const codegen::CpuTier &tier) { return tier.features & LLMRT_FEATURE_AVX512_BF16; }

int64_t PairDot::stepBytes() const { return kLanes * kStepColumns * (scheme_ ? scheme_->bits : 16) / 8; }

Value PairDot::pairsOf(KernelBuilder &k, Value values) {
  auto &b = k.b;
  llvm::SmallVector<int64_t> first, second;
  for (int64_t step = 0; step < kLanes; step += kStepColumns)
    for (int64_t start : kPairStarts) {
      first.push_back(step + start);
      second.push_back(step + start + 2);
    }
  if (!isNative(k.tier)) {
    llvm::SmallVector<int64_t> order;
    for (auto [x, y] : llvm::zip(first, second)) order.append({x, y});
    return vector::ShuffleOp::create(b, values, values, order);
  }
  Value bits = arith::BitcastOp::create(b, k.vec(k.i32Type()), values);
  Value low = vector::ShuffleOp::create(b, bits, bits, first), high = vector::ShuffleOp::create(b, bits, bits, second);
  Value sixteen = arith::ConstantOp::create(b, DenseElementsAttr::get(k.vec(k.i32Type(), kLanes / 2), int32_t(16)));
  return arith::OrIOp::create(b, arith::ShRUIOp::create(b, low, sixteen), high);
}

PairDot::Step PairDot::load(Value pointer) {
  if (native_ && scheme_ && scheme_->bits == 4) return lookUp(pointer);
  if (native_ && !scheme_) return interleave(pointer);
  llvm::SmallVector<Value, kStepColumns> columns = loadColumns(pointer);
  Step pairs;
  for (int64_t start : kPairStarts) pairs.push_back(pair(columns[start], columns[start + 2]));
  return pairs;
}

Value PairDot::field(Value words, int64_t low, int64_t bits) {
  auto &b = k_.b;
  if (low + bits < 32) words = arith::ShLIOp::create(b, words, k_.splatInt(int32_t(32 - low - bits)));
  return arith::SIToFPOp::create(b, k_.f32Vec(), arith::ShRSIOp::create(b, words, k_.splatInt(int32_t(32 - bits))));
}

// A step's columns as f32, exact.
llvm::SmallVector<Value, kStepColumns> PairDot::loadColumns(Value pointer) {
  llvm::SmallVector<Value, kStepColumns> columns(kStepColumns);
  if (!scheme_) {
    for (int64_t i = 0; i < kStepColumns; ++i) columns[i] = k_.loadElements("bf16", k_.at(pointer, 2 * kLanes * i));
    return columns;
  }
  int64_t bits = scheme_->bits, perLine = 32 / bits;
  // u = w + zero, and zero is the sign bit: flipped, it is w in two's complement.
  Value flip = k_.splatInt(bits == 4 ? int32_t(0x88888888) : int32_t(0x80808080));
  for (int64_t line = 0; line < kStepColumns / perLine; ++line) {
    Value stored = k_.load(k_.vec(k_.i32Type()), k_.at(pointer, 64 * line), 64);
    Value words = arith::XOrIOp::create(k_.b, stored, flip);
    for (int64_t i = 0; i < perLine; ++i)
      columns[line * perLine + i] = field(words, 8 * (i % 4) + 4 * (i / 4), bits);
  }
  return columns;
}

PairDot::Pair PairDot::pair(Value first, Value second) {
  if (!native_) return {first, second};
  auto &b = k_.b;
  Type words = k_.vec(k_.i32Type());
  Value low = arith::ShRUIOp::create(b, arith::BitcastOp::create(b, words, first), k_.splatInt(16));
  Value both = arith::OrIOp::create(b, low, arith::BitcastOp::create(b, words, second));
  return {vector::BitCastOp::create(b, k_.vec(b.getBF16Type(), 2 * kLanes), both)};
}

// 4-bit weights through a table of bf16 values. An index is five bits; its highest belongs to a neighbour, so the table
// holds everything twice and nothing needs to be masked.
PairDot::Step PairDot::lookUp(Value pointer) {
  auto &b = k_.b;
  VectorType halves = k_.vec(b.getI16Type(), 2 * kLanes);
  llvm::SmallVector<int16_t> values;
  for (int i = 0; i < 32; ++i) {
    llvm::APFloat value(float(i % 16 - scheme_->zero));
    values.push_back(int16_t(value.bitcastToAPInt().getZExtValue() >> 16));
  }
  Value table = arith::ConstantOp::create(b, DenseElementsAttr::get(halves, llvm::ArrayRef<int16_t>(values)));
  Value words = k_.load(k_.vec(k_.i32Type()), pointer, 64);
  Step pairs;
  for (int32_t shift = 0; shift < 16; shift += 4) {
    Value index = shift == 0 ? words : Value(arith::ShRUIOp::create(b, words, k_.splatInt(shift)));
    index = vector::BitCastOp::create(b, halves, index);
    Value found = k_.intrinsic("llvm.x86.avx512.permvar.hi.512", halves, {table, index});
    pairs.push_back({vector::BitCastOp::create(b, k_.vec(b.getBF16Type(), 2 * kLanes), found)});
  }
  return pairs;
}

// Columns of bf16, two of them a register, dealt into pairs.
PairDot::Step PairDot::interleave(Value pointer) {
  auto &b = k_.b;
  VectorType halves = k_.vec(b.getI16Type(), 2 * kLanes);
  Values lines;
  for (int64_t i = 0; i < kStepPairs; ++i) lines.push_back(k_.load(halves, k_.at(pointer, 64 * i), 2));
  Step pairs;
  for (int64_t start : kPairStarts) {
    llvm::SmallVector<int64_t> mask;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      int64_t from = start % 2 * kLanes + lane;
      mask.append({from, from + 2 * kLanes});
    }
    Value both = vector::ShuffleOp::create(b, lines[start / 2], lines[start / 2 + 1], mask);
    pairs.push_back({vector::BitCastOp::create(b, k_.vec(b.getBF16Type(), 2 * kLanes), both)});
  }
  return pairs;
}

PairDot::Pair PairDot::ones() {
  if (!native_) return {k_.splat(1), k_.splat(1)};
  VectorType type = k_.vec(k_.b.getBF16Type(), 2 * kLanes);
  Attribute one = k_.b.getFloatAttr(k_.b.getBF16Type(), 1.0);
  return {arith::ConstantOp::create(k_.b, DenseElementsAttr::get(type, one))};
}

Value PairDot::add(Value sum, const Pair &pair, Value inputs) {
  if (native_) {
    Value both = k_.broadcast(k_.load(k_.i32Type(), inputs));
    Value wide = vector::BitCastOp::create(k_.b, pair[0].getType(), both);
    return k_.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", k_.f32Vec(), {sum, pair[0], wide});
  }
  for (int64_t i : {1, 0}) sum = k_.fma(pair[i], k_.broadcast(k_.loadF32(k_.at(inputs, 4 * i))), sum);
  return sum;
}

} // namespace llmc::cpu
