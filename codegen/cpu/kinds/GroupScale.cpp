#include "codegen/cpu/kinds/GroupScale.h"

#include "runtime/packing/affine_search.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

// An i32 or f32 constant of the type's shape.
Value constantLike(KernelBuilder &k, Type type, Attribute value) {
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(k.b, DenseElementsAttr::get(vector, value));
  return arith::ConstantOp::create(k.b, cast<TypedAttr>(value));
}

Type floatsLike(KernelBuilder &k, Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(VectorType::get(vector.getShape(), k.f32Type())) : k.f32Type();
}

// runtime/packing/affine_search.h has the bits.
GroupScale decodeAffine(KernelBuilder &k, Value halves, Type words, OffsetForm form) {
  auto &b = k.b;
  Type floats = floatsLike(k, words);
  auto integer = [&](int32_t value) { return constantLike(k, words, b.getI32IntegerAttr(value)); };
  auto number = [&](float value) { return constantLike(k, floats, b.getF32FloatAttr(value)); };
  Value code = arith::ExtUIOp::create(b, words, halves);
  Value bits = arith::AddIOp::create(b, arith::AndIOp::create(b, code, integer(0x3ff)), integer((127 - 20) << 5));
  Value scale = arith::BitcastOp::create(b, floats, arith::ShLIOp::create(b, bits, integer(18)));
  Value steps = arith::SIToFPOp::create(b, floats, arith::ShRUIOp::create(b, code, integer(10)));
  float step = packing::kOffsetStep * form.factor;
  return {scale, k.fma(steps, number(step), number(form.addend - packing::kNoOffset * step))};
}

} // namespace

GroupScale loadGroupScales(KernelBuilder &k, const Scheme &scheme, Value pointer, int64_t lanes, OffsetForm form) {
  if (scheme.affine)
    return decodeAffine(k, k.load(k.vec(k.b.getI16Type(), lanes), pointer, 2), k.vec(k.i32Type(), lanes), form);
  Value halves = k.load(k.vec(k.b.getF16Type(), lanes), pointer, 2);
  return {arith::ExtFOp::create(k.b, k.vec(k.f32Type(), lanes), halves), {}};
}

GroupScale loadGroupScale(KernelBuilder &k, const Scheme &scheme, Value pointer) {
  if (scheme.affine) return decodeAffine(k, k.load(k.b.getI16Type(), pointer, 2), k.i32Type(), {});
  return {arith::ExtFOp::create(k.b, k.f32Type(), k.load(k.b.getF16Type(), pointer, 2)), {}};
}

Value dequantize(KernelBuilder &k, const Scheme &scheme, Value u, const GroupScale &scale) {
  auto &b = k.b;
  Value zero = constantLike(k, u.getType(), b.getI32IntegerAttr(scheme.zero));
  Value w = arith::SIToFPOp::create(b, floatsLike(k, u.getType()), arith::SubIOp::create(b, u, zero));
  if (scale.offset) w = k.addf(w, scale.offset);
  return k.mulf(w, scale.scale);
}

} // namespace llmc::cpu
