#include "codegen/cpu/KernelBuilder.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

static_assert(offsetof(llmrt_dispatch, operands) == 0 && offsetof(llmrt_dispatch, scalars) == 8 &&
              offsetof(llmrt_dispatch, begin) == 16 && offsetof(llmrt_dispatch, end) == 24 &&
              offsetof(llmrt_dispatch, scratch) == 32);

KernelBuilder::KernelBuilder(ModuleOp module, llvm::StringRef symbol, const codegen::CpuTier &tier)
    : NumberBuilder(module.getLoc(), kLanes), tier(tier) {
  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType({ptrType()}, {}));
  entry_ = function.addEntryBlock();
  b.setInsertionPointToStart(entry_);
  dispatch_ = entry_->getArgument(0);
  operandTable_ = loadField(0, ptrType());
  scalarTable_ = loadField(8, ptrType());
  begin_ = loadField(16, i64Type());
  end_ = loadField(24, i64Type());
  scratch_ = loadField(32, ptrType());
}

void KernelBuilder::finish() { func::ReturnOp::create(b); }

Value KernelBuilder::loadField(int64_t offset, Type type) { return load(type, at(dispatch_, offset), 8); }

// Operands and scalars are loaded where they are first asked for only if that is the entry block; emitters ask for all
// of them up front, so that nothing in a loop goes back to the dispatch.
Value KernelBuilder::operand(int index) {
  if (int(operands_.size()) <= index) operands_.resize(index + 1);
  if (!operands_[index]) {
    assert(b.getInsertionBlock() == entry_ && "ask for operands before the first loop");
    operands_[index] = load(ptrType(), at(operandTable_, 8 * index), 8);
  }
  return operands_[index];
}

Value KernelBuilder::scalar(int index) {
  if (int(scalars_.size()) <= index) scalars_.resize(index + 1);
  if (!scalars_[index]) {
    assert(b.getInsertionBlock() == entry_ && "ask for scalars before the first loop");
    scalars_[index] = load(i64Type(), at(scalarTable_, 8 * index), 8);
  }
  return scalars_[index];
}

Type KernelBuilder::ptrType() { return LLVM::LLVMPointerType::get(b.getContext()); }

Value KernelBuilder::iota() {
  llvm::SmallVector<int32_t> lanes;
  for (int32_t i = 0; i < kLanes; ++i) lanes.push_back(i);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vec(i32Type()), llvm::ArrayRef<int32_t>(lanes)));
}
Value KernelBuilder::broadcast(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(b, vec(scalar.getType(), lanes), scalar);
}

Value KernelBuilder::add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
Value KernelBuilder::sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }
Value KernelBuilder::mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
Value KernelBuilder::div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(x, y); }
Value KernelBuilder::rem(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(x, y); }
Value KernelBuilder::min(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(x, y); }
Value KernelBuilder::max(Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(x, y); }
Value KernelBuilder::less(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y); }

Value KernelBuilder::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(b, ptrType(), i8Type(), pointer, ValueRange{bytes});
}
Value KernelBuilder::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(b, type, pointer, alignment);
}
void KernelBuilder::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(b, value, pointer, alignment);
}
Value KernelBuilder::loadIndex(Value pointer, Value index) {
  Value value = load(i32Type(), at(pointer, mul(index, 4)), 4);
  return arith::ExtUIOp::create(b, i64Type(), value);
}

Value KernelBuilder::stack(int64_t bytes) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entry_);
  return LLVM::AllocaOp::create(b, ptrType(), i8Type(), i64(bytes), /*alignment=*/64);
}
Value KernelBuilder::tailBuffer() {
  if (!tailBuffer_) tailBuffer_ = stack(4 * kLanes);
  return tailBuffer_;
}

void KernelBuilder::prefetchL2(Value pointer) {
  LLVM::Prefetch::create(b, pointer, b.getI32IntegerAttr(0), b.getI32IntegerAttr(2), b.getI32IntegerAttr(1));
}

Value KernelBuilder::validMask(Value valid) {
  Value clamped = arith::TruncIOp::create(b, i32Type(), min(valid, i64(kLanes)));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, iota(), broadcast(clamped));
}

Value KernelBuilder::loadColumns(Value pointer, Value valid) {
  Value whole = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, valid, i64(kLanes));
  Value buffer = tailBuffer();
  return ifElse(
      whole, [&] { return loadVec(pointer); },
      [&] {
        store(splat(0), buffer, 64);
        loop(i64(0), valid, 1, [&](Value i) { store(loadF32(at(pointer, mul(i, 4))), at(buffer, mul(i, 4))); });
        return load(f32Vec(), buffer, 64);
      });
}

void KernelBuilder::storeColumns(Value value, Value pointer, Value valid) {
  Value whole = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, valid, i64(kLanes));
  Value buffer = tailBuffer();
  auto branch = scf::IfOp::create(b, TypeRange{}, whole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  store(value, pointer, 4);
  b.setInsertionPointToStart(branch.elseBlock());
  store(value, buffer, 64);
  loop(i64(0), valid, 1, [&](Value i) { store(loadF32(at(buffer, mul(i, 4))), at(pointer, mul(i, 4))); });
}

Value KernelBuilder::loadElements(llvm::StringRef element, Value pointer) {
  if (element == "f32") return loadVec(pointer);
  if (element == "f16") {
    Value half = load(vec(b.getF16Type()), pointer, 2);
    return arith::ExtFOp::create(b, f32Vec(), half);
  }
  if (element == "int8") {
    Value wide = arith::ExtSIOp::create(b, vec(i32Type()), load(vec(i8Type()), pointer, 1));
    return arith::SIToFPOp::create(b, f32Vec(), wide);
  }
  Value bits = arith::ExtUIOp::create(b, vec(i32Type()), load(vec(b.getI16Type()), pointer, 2));
  return arith::BitcastOp::create(b, f32Vec(), arith::ShLIOp::create(b, bits, splatInt(16)));
}

// f32 to bf16 by integers, one or a vector of them: add 0x7fff plus the bit that becomes the last, and keep the upper
// half. A NaN keeps its upper half with the quiet bit set.
static Value roundToBf16(KernelBuilder &k, Value value) {
  auto &b = k.b;
  auto vector = dyn_cast<VectorType>(value.getType());
  auto constant = [&](int32_t number) { return vector ? k.splatInt(number) : k.i32(number); };
  auto like = [&](Type element) { return vector ? Type(k.vec(element)) : element; };
  Value bits = arith::BitcastOp::create(b, like(k.i32Type()), value);
  Value last = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, constant(16)), constant(1));
  Value rounded = arith::AddIOp::create(b, bits, arith::AddIOp::create(b, last, constant(0x7fff)));
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  Value quiet = arith::OrIOp::create(b, bits, constant(0x400000));
  Value chosen = arith::ShRUIOp::create(b, k.select(isNan, quiet, rounded), constant(16));
  return arith::TruncIOp::create(b, like(b.getI16Type()), chosen);
}

void KernelBuilder::storeElement(llvm::StringRef element, Value scalarF32, Value pointer) {
  if (element == "f32") return store(scalarF32, pointer, 4);
  if (element == "f16") return store(arith::TruncFOp::create(b, b.getF16Type(), scalarF32), pointer, 2);
  store(roundToBf16(*this, scalarF32), pointer, 2);
}

Value KernelBuilder::roundElements(llvm::StringRef element, Value f32Vector) {
  if (element == "f32") return f32Vector;
  if (element == "f16") return arith::TruncFOp::create(b, vec(b.getF16Type()), f32Vector);
  return roundToBf16(*this, f32Vector);
}

static Value reduce(KernelBuilder &k, Value vector, Value (codegen::NumberBuilder::*combine)(Value, Value)) {
  for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
    llvm::SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < half; ++i) {
      low.push_back(i);
      high.push_back(i + half);
    }
    Value x = vector::ShuffleOp::create(k.b, vector, vector, low);
    Value y = vector::ShuffleOp::create(k.b, vector, vector, high);
    vector = (k.*combine)(x, y);
  }
  return vector::ExtractOp::create(k.b, vector, llvm::ArrayRef<int64_t>{0});
}
Value KernelBuilder::sum(Value vector) { return reduce(*this, vector, &KernelBuilder::addf); }
Value KernelBuilder::maximum(Value vector) { return reduce(*this, vector, &KernelBuilder::maxf); }

void KernelBuilder::loop(Value lower, Value upper, int64_t step, const Body &body) {
  loop(lower, upper, step, {}, [&](Value index, ValueRange) {
    body(index);
    return Values{};
  });
}

Values KernelBuilder::loop(Value lower, Value upper, int64_t step, ValueRange initial, const CarryingBody &body) {
  auto loop = scf::ForOp::create(b, lower, upper, i64(step), initial);
  OpBuilder::InsertionGuard guard(b);
  if (initial.empty()) {
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar(), {});
  } else {
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, body(loop.getInductionVar(), loop.getRegionIterArgs()));
  }
  return Values(loop.getResults());
}

void KernelBuilder::ifThen(Value condition, const std::function<void()> &body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

Value KernelBuilder::ifElse(Value condition, const std::function<Value()> &yes, const std::function<Value()> &no) {
  auto branch = scf::IfOp::create(b, TypeRange{f32Vec()}, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, yes());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, no());
  return branch.getResult(0);
}

Value KernelBuilder::intrinsic(llvm::StringRef name, Type result, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name), arguments).getResult(0);
}

} // namespace llmc::cpu
