#include "codegen/common/Halves.h"

namespace llmc::codegen {

using namespace mlir;

Value halfToF32(NumberBuilder &k, llvm::StringRef element, Value bits) {
  auto &b = k.b;
  if (element == "bf16") return arith::BitcastOp::create(b, k.f32Type(), arith::ShLIOp::create(b, bits, k.i32(16)));
  // f16: the exponent moves from 15 to 127. A subnormal is its mantissa times 2^-24, made without an f32 denormal.
  Value sign = arith::ShLIOp::create(b, arith::AndIOp::create(b, bits, k.i32(0x8000)), k.i32(16));
  Value size = arith::AndIOp::create(b, bits, k.i32(0x7fff));
  Value shifted = arith::AddIOp::create(b, arith::ShLIOp::create(b, size, k.i32(13)), k.i32(112 << 23));
  Value isHuge = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, size, k.i32(0x7c00)); // infinity or NaN
  shifted = k.select(isHuge, arith::AddIOp::create(b, shifted, k.i32(112 << 23)), shifted);
  Value small = k.mulf(arith::SIToFPOp::create(b, k.f32Type(), size), k.f32(0x1p-24));
  Value isSmall = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, size, k.i32(0x400));
  Value magnitude = k.select(isSmall, arith::BitcastOp::create(b, k.i32Type(), small), shifted);
  return arith::BitcastOp::create(b, k.f32Type(), arith::OrIOp::create(b, magnitude, sign));
}

// As the CPU rounds: add 0x7fff plus the bit that becomes the last, and keep the upper half.
Value f32ToBf16(NumberBuilder &k, Value value) {
  auto &b = k.b;
  Value bits = arith::BitcastOp::create(b, k.i32Type(), value);
  Value last = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, k.i32(16)), k.i32(1));
  Value rounded = arith::AddIOp::create(b, bits, arith::AddIOp::create(b, last, k.i32(0x7fff)));
  Value isNan = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt,
                                      arith::AndIOp::create(b, bits, k.i32(0x7fffffff)), k.i32(0x7f800000));
  Value result = k.select(isNan, arith::OrIOp::create(b, bits, k.i32(0x400000)), rounded);
  return arith::ShRUIOp::create(b, result, k.i32(16));
}

} // namespace llmc::codegen
