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

} // namespace llmc::codegen
