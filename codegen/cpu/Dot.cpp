#include "codegen/cpu/Dot.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

std::unique_ptr<GroupDot> GroupDot::create(KernelBuilder &k, const Scheme &scheme, int64_t rows) {
  bool arm = k.tier.architecture == LLMRT_ARCH_ARM64;
  return arm ? createArmDot(k, scheme, rows) : createX86Dot(k, scheme, rows);
}

Value GroupDot::splatOf(Type element, int64_t lanes, int64_t value) {
  unsigned bits = element.getIntOrFloatBitWidth();
  llvm::APInt constant(bits, uint64_t(value), /*isSigned=*/true, /*implicitTrunc=*/true);
  return arith::ConstantOp::create(k.b, DenseElementsAttr::get(k.vec(element, lanes), constant));
}

Value GroupDot::asBytes(Value vector) {
  auto type = cast<VectorType>(vector.getType());
  int64_t bytes = type.getDimSize(0) * type.getElementTypeBitWidth() / 8;
  return vector::BitCastOp::create(k.b, k.vec(k.i8Type(), bytes), vector);
}

Value GroupDot::broadcastInputs(const Inputs &inputs, int64_t row, int64_t bytes) {
  return asBytes(k.broadcast(k.load(k.i32Type(), k.at(inputs.at, 4 * row)), bytes / 4));
}

Values GroupDot::addCorrections(Values sums, ValueRange corr) {
  if (wide()) return sums;
  for (auto [row, sum] : llvm::enumerate(sums)) sum = arith::AddIOp::create(k.b, sum, words(corr, row));
  return sums;
}

void GroupDot::add(Values &state, Value weights, const Inputs &inputs) {
  auto &b = k.b;
  VectorType line = k.vec(k.i32Type(), strip);
  auto load = [&](int64_t number) { return k.load(line, k.at(weights, 64 * number), unsigned(4 * strip)); };
  Value first = load(0), second;
  if (wide()) {
    second = load(1);
    Value flip = splatOf(k.i32Type(), strip, int32_t(0x80808080));
    for (Value *quad : {&first, &second})
      if (signedWeights_) *quad = arith::XOrIOp::create(b, *quad, flip);
  } else {
    Value nibbles = splatOf(k.i32Type(), strip, 0x0f0f0f0f), four = splatOf(k.i32Type(), strip, 4);
    second = arith::AndIOp::create(b, arith::ShRUIOp::create(b, first, four), nibbles);
    first = arith::AndIOp::create(b, first, nibbles);
  }
  addQuads(state, asBytes(first), asBytes(second), inputs);
}

} // namespace llmc::cpu
