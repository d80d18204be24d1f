#include "codegen/gpu/GpuBuilder.h"

#include "codegen/common/Halves.h"
#include "codegen/gpu/ops/Chip.h"
#include "runtime/abi/kernel.h"

namespace llmc::gpu {

using namespace mlir;

GpuBuilder::GpuBuilder(mlir::gpu::GPUModuleOp module, llvm::StringRef symbol, int operands, int scalars,
                       int64_t threads, uint64_t features, MatrixUnits matrixUnits)
    : NumberBuilder(module.getLoc(), 0), threads_(threads), storage16_(features & LLMRT_FEATURE_STORAGE16),
      matrixUnits_(matrixUnits) {
  b.setInsertionPointToEnd(module.getBody());
  Type words = MemRefType::get({ShapedType::kDynamic}, i32Type());
  llvm::SmallVector<Type> arguments(size_t(operands) + 1, words);
  function_ = mlir::gpu::GPUFuncOp::create(b, symbol, b.getFunctionType(arguments, {}));
  function_->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function_.setKnownBlockSizeAttr(b.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  b.setInsertionPointToStart(&function_.getBody().front());
  thread_ = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  Value x = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  Value y = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y);
  Value across = mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::x);
  group_ = add(mul(y, across), x);
  groups_ = mul(across, mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::y));
  for (int i = 0; i < scalars; ++i) scalarValues_.push_back(dispatchWord(i));
  for (int i = 0; i < operands; ++i) starts_.push_back(dispatchWord(scalars + i));
  items_ = dispatchWord(scalars + operands);
}

void GpuBuilder::finish() {
  mlir::gpu::ReturnOp::create(b);
  llvm::SmallVector<Type> types; // which operands have elements of 16 bits is known by now
  for (unsigned i = 0; i < function_.getFunctionType().getNumInputs(); ++i)
    types.push_back(function_.getArgument(i).getType());
  function_.setFunctionType(b.getFunctionType(types, {}));
}

Value GpuBuilder::dispatchWord(int64_t at) {
  return toIndex(memref::LoadOp::create(b, function_.getArgument(0), ValueRange{index(at)}));
}

Value GpuBuilder::scalar(int index) { return scalarValues_[size_t(index)]; }

void GpuBuilder::forEachItem(const std::function<void(Value)> &body) {
  Value item = add(mul(group_, threads_), thread_);
  ifThen(less(item, items_), [&] { body(item); });
}

void GpuBuilder::forGroupItem(const std::function<void(Value)> &body) {
  ifThen(less(group_, items_), [&] { body(group_); });
}

// ---- index arithmetic ------------------------------------------------------------------------------------------------

Value GpuBuilder::index(int64_t value) { return arith::ConstantOp::create(b, b.getIndexAttr(value)); }
Value GpuBuilder::add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
Value GpuBuilder::sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }
Value GpuBuilder::mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
Value GpuBuilder::div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(x, y); }
Value GpuBuilder::rem(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(x, y); }
Value GpuBuilder::min(Value x, Value y) { return select(less(x, y), x, y); }
Value GpuBuilder::max(Value x, Value y) { return select(less(x, y), y, x); }
Value GpuBuilder::less(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, y); }
Value GpuBuilder::equal(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y); }
Value GpuBuilder::logicalAnd(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
Value GpuBuilder::toI32(Value index) { return arith::IndexCastOp::create(b, i32Type(), index); }
Value GpuBuilder::toIndex(Value word) { return arith::IndexCastOp::create(b, b.getIndexType(), word); }
Value GpuBuilder::toF32(Value index) { return arith::SIToFPOp::create(b, f32Type(), toI32(index)); }

// ---- memory ----------------------------------------------------------------------------------------------------------

Value GpuBuilder::word(int operand, Value at) { return add(starts_[size_t(operand)], at); }
Value GpuBuilder::half(int operand, Value at) { return add(mul(starts_[size_t(operand)], 2), at); }

Value GpuBuilder::words(int operand) {
  Value memory = function_.getArgument(unsigned(operand) + 1);
  assert(cast<MemRefType>(memory.getType()).getElementType() == i32Type() && "an operand of elements of 16 bits");
  return memory;
}

Value GpuBuilder::halves(int operand) {
  BlockArgument memory = function_.getArgument(unsigned(operand) + 1);
  Type type = MemRefType::get({ShapedType::kDynamic}, b.getI16Type());
  assert((memory.getType() == type || memory.use_empty()) && "an operand of words");
  memory.setType(type);
  return memory;
}

Value GpuBuilder::loadWord(int operand, Value at) {
  return memref::LoadOp::create(b, words(operand), ValueRange{word(operand, at)});
}
Value GpuBuilder::loadF32(int operand, Value at) {
  return arith::BitcastOp::create(b, f32Type(), loadWord(operand, at));
}
void GpuBuilder::storeF32(int operand, Value value, Value at) {
  storeWord(operand, arith::BitcastOp::create(b, i32Type(), value), at);
}
void GpuBuilder::storeWord(int operand, Value bits, Value at) {
  memref::StoreOp::create(b, bits, words(operand), ValueRange{word(operand, at)});
}

Value GpuBuilder::loadElement(int operand, llvm::StringRef element, Value at) {
  if (element == "f32") return loadF32(operand, at);
  if (storage16_) {
    Value bits = memref::LoadOp::create(b, halves(operand), ValueRange{half(operand, at)});
    return bitsToF32(element, arith::ExtUIOp::create(b, i32Type(), bits));
  }
  Value shift = toI32(mul(rem(at, 2), 16));
  Value bits = arith::ShRUIOp::create(b, loadWord(operand, div(at, 2)), shift);
  return bitsToF32(element, bits);
}

Value GpuBuilder::bitsToF32(llvm::StringRef element, Value bits) { return codegen::halfToF32(*this, element, bits); }

Value GpuBuilder::bf16Bits(Value value) { return codegen::f32ToBf16(*this, value); }

Value GpuBuilder::halfBits(Value value) {
  Value bits = arith::BitcastOp::create(b, i32Type(), value);
  Value sign = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, i32(16)), i32(0x8000));
  Value size = arith::AndIOp::create(b, bits, i32(0x7fffffff));
  auto below = [&](int32_t limit) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, size, i32(limit));
  };
  // Normal halves: 13 bits go, to nearest even; a carry moves the exponent by itself, up to infinity.
  Value last = arith::AndIOp::create(b, arith::ShRUIOp::create(b, size, i32(13)), i32(1));
  Value moved = arith::SubIOp::create(b, arith::AddIOp::create(b, size, last), i32((112 << 23) - 0xfff));
  Value normal = arith::ShRUIOp::create(b, moved, i32(13));
  // Below 2^-14: adding 1/2 leaves multiples of 2^-24, rounded to even, in the low bits.
  Value sum = addf(arith::BitcastOp::create(b, f32Type(), size), f32(0.5));
  Value small = arith::SubIOp::create(b, arith::BitcastOp::create(b, i32Type(), sum), i32(0x3f000000));
  Value isNan = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, size, i32(0x7f800000));
  Value result = select(below(0x38800000), small, normal);
  result = select(below(0x47800000), result, i32(0x7c00)); // 65536 and above
  result = select(isNan, i32(0x7e00), result);
  return arith::OrIOp::create(b, result, sign);
}

void GpuBuilder::storeElement(int operand, llvm::StringRef element, Value value, Value at) {
  if (element == "f32") return storeF32(operand, value, at);
  Value bits = element == "bf16" ? bf16Bits(value) : halfBits(value);
  if (storage16_) {
    Value narrow = arith::TruncIOp::create(b, b.getI16Type(), bits);
    memref::StoreOp::create(b, narrow, halves(operand), ValueRange{half(operand, at)});
    return;
  }
  Value shift = toI32(mul(rem(at, 2), 16)), place = word(operand, div(at, 2)), memory = words(operand);
  Value keep = arith::XOrIOp::create(b, arith::ShLIOp::create(b, i32(0xffff), shift), i32(-1));
  memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::andi, keep, memory, ValueRange{place});
  memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::ori, arith::ShLIOp::create(b, bits, shift), memory,
                              ValueRange{place});
}

static Value shareMemory(mlir::gpu::GPUFuncOp function, Type element, int64_t count) {
  auto space = mlir::gpu::AddressSpaceAttr::get(function.getContext(), mlir::gpu::AddressSpace::Workgroup);
  auto type = MemRefType::get({count}, element, MemRefLayoutAttrInterface{}, space);
  return function.addWorkgroupAttribution(type, function.getLoc());
}
Value GpuBuilder::shared(int64_t count) { return shareMemory(function_, f32Type(), count); }
Value GpuBuilder::sharedWords(int64_t count) { return shareMemory(function_, i32Type(), count); }
Value GpuBuilder::loadShared(Value memory, Value at) { return memref::LoadOp::create(b, memory, ValueRange{at}); }
void GpuBuilder::storeShared(Value memory, Value value, Value at) {
  memref::StoreOp::create(b, value, memory, ValueRange{at});
}
void GpuBuilder::addShared(Value memory, Value word, Value at) {
  memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::addi, word, memory, ValueRange{at});
}
void GpuBuilder::barrier() { mlir::gpu::BarrierOp::create(b); }

Value GpuBuilder::sumOfLanes(Value memory, Value first) {
  Values values;
  for (int64_t i = 0; i < kLanes; ++i) values.push_back(loadShared(memory, add(first, i)));
  for (size_t half = kLanes / 2; half >= 1; half /= 2)
    for (size_t i = 0; i < half; ++i) values[i] = addf(values[i], values[i + half]);
  return values[0];
}

// ---- what chips have instructions for --------------------------------------------------------------------------------

Values GpuBuilder::mma(llvm::StringRef element, ValueRange a, ValueRange b_, ValueRange c) {
  auto half = *chip::symbolizeHalf(element);
  return Values(chip::MmaOp::create(b, f32Type(), f32Type(), f32Type(), f32Type(), half, a, b_, c).getResults());
}
Values GpuBuilder::warpgroupMma(llvm::StringRef element, ValueRange a, Value memory, Value at) {
  llvm::SmallVector<Type> types(chip::kWarpgroupNumbers, f32Type());
  return Values(chip::WarpgroupMmaOp::create(b, types, *chip::symbolizeHalf(element), a, memory, at).getResults());
}
void GpuBuilder::publish() { chip::PublishOp::create(b); }
void GpuBuilder::copy(int64_t words, int operand, Value at, Value memory, Value to) {
  chip::CopyOp::create(b, uint64_t(words), this->words(operand), word(operand, at), memory, to);
}
void GpuBuilder::commit() { chip::CommitOp::create(b); }
void GpuBuilder::wait(int64_t groups) { chip::WaitOp::create(b, uint64_t(groups)); }
Value GpuBuilder::addPairs(Value a, Value b) { return chip::AddPairsOp::create(this->b, i32Type(), a, b); }
Value GpuBuilder::dot4(Value a, Value b, Value c) { return chip::Dot4Op::create(this->b, i32Type(), a, b, c); }
Value GpuBuilder::sumOfThreads(Value value, int64_t across) {
  return chip::ReduceOp::create(b, f32Type(), chip::Fold::Sum, value, uint64_t(across));
}
Value GpuBuilder::maxOfThreads(Value value, int64_t across) {
  return chip::ReduceOp::create(b, f32Type(), chip::Fold::Max, value, uint64_t(across));
}

// ---- control flow ----------------------------------------------------------------------------------------------------

void GpuBuilder::loop(Value lower, Value upper, Value step, const Body &body) {
  auto loop = scf::ForOp::create(b, lower, upper, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

// The lowering to SPIR-V loses the initial values of a loop that never runs, hence the branch round it.
Values GpuBuilder::loop(Value lower, Value upper, Value step, ValueRange initial, const CarryingBody &body) {
  llvm::SmallVector<Type> types(initial.getTypes());
  return ifElse(
      less(lower, upper), types,
      [&] {
        auto loop = scf::ForOp::create(b, lower, upper, step, initial);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(loop.getBody());
        scf::YieldOp::create(b, body(loop.getInductionVar(), loop.getRegionIterArgs()));
        return Values(loop.getResults());
      },
      [&] { return Values(initial); });
}

void GpuBuilder::ifThen(Value condition, const std::function<void()> &body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

Values GpuBuilder::ifElse(Value condition, TypeRange types, const std::function<Values()> &yes,
                          const std::function<Values()> &no) {
  auto branch = scf::IfOp::create(b, types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  // A branch without results has its yields already.
  auto fill = [&](Block *block, const std::function<Values()> &body) {
    b.setInsertionPointToStart(block);
    Values results = body();
    if (!types.empty()) scf::YieldOp::create(b, results);
  };
  fill(branch.thenBlock(), yes);
  fill(branch.elseBlock(), no);
  return Values(branch.getResults());
}

Value GpuBuilder::ifElse(Value condition, const std::function<Value()> &yes, const std::function<Value()> &no) {
  return ifElse(condition, {f32Type()}, [&] { return Values{yes()}; }, [&] { return Values{no()}; })[0];
}

} // namespace llmc::gpu
