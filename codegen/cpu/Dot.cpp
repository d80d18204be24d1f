#include "codegen/cpu/Dot.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

static DotKind dotKind(const codegen::CpuTier &tier) {
  if (tier.architecture == LLMRT_ARCH_ARM64) return DotKind::Neon;
  if (tier.features & LLMRT_FEATURE_AVX512_VNNI) return DotKind::Vnni;
  return tier.vectorBits == 512 ? DotKind::Avx512Pair : DotKind::Avx2Pair;
}

GroupDot::GroupDot(KernelBuilder &k, const Scheme &scheme) : k_(k), scheme_(scheme), kind_(dotKind(k.tier)) {
  pieceBytes_ = kind_ == DotKind::Neon ? 16 : kind_ == DotKind::Avx2Pair ? 32 : 64;
}

Value GroupDot::piece(Value vector, int64_t index, int64_t lanes) {
  if (cast<VectorType>(vector.getType()).getDimSize(0) == lanes) return vector;
  llvm::SmallVector<int64_t> mask;
  for (int64_t i = 0; i < lanes; ++i) mask.push_back(index * lanes + i);
  return vector::ShuffleOp::create(k_.b, vector, vector, mask);
}

Value GroupDot::join(ValueRange pieces) {
  Values level(pieces);
  while (level.size() > 1) {
    Values next;
    int64_t lanes = cast<VectorType>(level[0].getType()).getDimSize(0);
    for (size_t i = 0; i < level.size(); i += 2) {
      llvm::SmallVector<int64_t> mask;
      for (int64_t j = 0; j < 2 * lanes; ++j) mask.push_back(j);
      next.push_back(vector::ShuffleOp::create(k_.b, level[i], level[i + 1], mask));
    }
    level = next;
  }
  return level[0];
}

Value GroupDot::broadcastBytes(Value x, int64_t bytes) {
  Value words = k_.broadcast(x, bytes / 4);
  return vector::BitCastOp::create(k_.b, k_.vec(k_.i8Type(), bytes), words);
}

Value GroupDot::prepare(Value bytes) {
  bool toSigned = scheme_.bits == 8 && (pairs() || kind_ == DotKind::Neon);
  if (!toSigned) return bytes;
  Value flip = arith::ConstantOp::create(
      k_.b, DenseElementsAttr::get(k_.vec(k_.i8Type(), 64), llvm::APInt(8, 0x80)));
  return arith::XOrIOp::create(k_.b, bytes, flip);
}

// 8-bit weights become signed in prepare() where the instruction wants them so, and then need no correction.
GroupDot::State GroupDot::begin(Value corrected) {
  if (kind_ == DotKind::Vnni) return {corrected};
  if (wideWeights()) return {k_.splatInt(0)};
  if (kind_ == DotKind::Neon) return {corrected};
  State state{corrected}; // then int16 sums, a vector an instruction
  Type i16 = k_.b.getI16Type();
  for (int64_t i = 0; i < 64 / pieceBytes_; ++i) {
    VectorType type = k_.vec(i16, pieceBytes_ / 2);
    state.push_back(arith::ConstantOp::create(k_.b, DenseElementsAttr::get(type, int16_t(0))));
  }
  return state;
}

void GroupDot::dot(State &state, Value weights, Value x) {
  if (kind_ == DotKind::Vnni) {
    state[0] = k_.intrinsic("llvm.x86.avx512.vpdpbusd.512", k_.vec(k_.i32Type()),
                            {state[0], weights, broadcastBytes(x, 64)});
    return;
  }
  kind_ == DotKind::Neon ? dotNeon(state, weights, x) : dotPair(state, weights, x);
}

// Adds neighbours of int16 into int32.
Value GroupDot::widen(Value products, int64_t bytes) {
  Value ones = arith::ConstantOp::create(
      k_.b, DenseElementsAttr::get(k_.vec(k_.b.getI16Type(), bytes / 2), int16_t(1)));
  llvm::StringRef name = bytes == 64 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  return k_.intrinsic(name, k_.vec(k_.i32Type(), bytes / 4), {products, ones});
}

void GroupDot::dotPair(State &state, Value weights, Value x) {
  int64_t bytes = pieceBytes_;
  llvm::StringRef name = bytes == 64 ? "llvm.x86.avx512.pmaddubs.w.512" : "llvm.x86.avx2.pmadd.ub.sw";
  VectorType products = k_.vec(k_.b.getI16Type(), bytes / 2);
  Value wide = broadcastBytes(x, bytes);
  Values sums;
  for (int64_t i = 0; i < 64 / bytes; ++i) {
    Value w = piece(weights, i, bytes);
    if (!wideWeights()) {
      Value product = k_.intrinsic(name, products, {w, wide});
      state[1 + i] = arith::AddIOp::create(k_.b, state[1 + i], product);
      continue;
    }
    Value zero = arith::ConstantOp::create(k_.b, DenseElementsAttr::get(k_.vec(k_.i8Type(), bytes), int8_t(0)));
    Value negative = arith::CmpIOp::create(k_.b, arith::CmpIPredicate::slt, wide, zero);
    Value size = k_.select(negative, arith::SubIOp::create(k_.b, zero, wide), wide);
    Value turned = k_.select(negative, arith::SubIOp::create(k_.b, zero, w), w);
    sums.push_back(widen(k_.intrinsic(name, products, {size, turned}), bytes));
  }
  if (wideWeights()) state[0] = arith::AddIOp::create(k_.b, state[0], join(sums));
}

void GroupDot::dotNeon(State &state, Value weights, Value x) {
  Value wide = broadcastBytes(x, 16);
  Values sums;
  for (int64_t i = 0; i < 4; ++i)
    sums.push_back(k_.intrinsic("llvm.aarch64.neon.sdot", k_.vec(k_.i32Type(), 4),
                                {piece(state[0], i, 4), piece(weights, i, 16), wide}));
  state[0] = join(sums);
}

Value GroupDot::finish(const State &state) {
  if (state.size() == 1) return state[0];
  Values sums;
  for (Value products : llvm::drop_begin(state)) sums.push_back(widen(products, pieceBytes_));
  return arith::AddIOp::create(k_.b, state[0], join(sums));
}

} // namespace llmc::cpu
