#include "codegen/common/NumberBuilder.h"

namespace llmc::codegen {

using namespace mlir;

Type NumberBuilder::numberType(Type element) { return lanes_ == 0 ? element : VectorType::get({lanes_}, element); }

Value NumberBuilder::i64(int64_t value) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); }
Value NumberBuilder::i32(int32_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); }
Value NumberBuilder::f32(double value) { return arith::ConstantOp::create(b, b.getF32FloatAttr(float(value))); }
Value NumberBuilder::splat(double value) {
  if (lanes_ == 0) return f32(value);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(f32Number()), float(value)));
}
Value NumberBuilder::splatInt(int32_t value) {
  if (lanes_ == 0) return i32(value);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(numberType(i32Type())), value));
}

Value NumberBuilder::addf(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
Value NumberBuilder::subf(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
Value NumberBuilder::mulf(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
Value NumberBuilder::divf(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
Value NumberBuilder::maxf(Value x, Value y) {
  return select(arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y), x, y);
}
Value NumberBuilder::fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
Value NumberBuilder::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, condition, x, y);
}

} // namespace llmc::codegen
