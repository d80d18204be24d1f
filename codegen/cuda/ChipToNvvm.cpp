#include "codegen/cuda/ChipToNvvm.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace llmc::cuda {

using namespace mlir;

bool hasMatrixUnits(llvm::StringRef virtualChip) {
  int number = 0;
  virtualChip.consume_front("sm_");
  bool known = !virtualChip.consumeInteger(10, number);
  return known && number >= 80;
}

bool hasInstruction(llvm::StringRef virtualChip, Operation *op) {
  return isa<chip::Dot4Op, chip::ReduceOp>(op) || hasMatrixUnits(virtualChip);
}

namespace {

template <typename Op> struct Pattern : ConvertOpToLLVMPattern<Op> {
  using ConvertOpToLLVMPattern<Op>::ConvertOpToLLVMPattern;
  using Adaptor = typename Op::Adaptor;
  static Value constant(OpBuilder &b, Location at, int64_t value) {
    return LLVM::ConstantOp::create(b, at, b.getI32Type(), b.getI32IntegerAttr(int32_t(value)));
  }
};

struct LowerMma : Pattern<chip::MmaOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::MmaOp op, Adaptor operands, ConversionPatternRewriter &b) const override {
    Location at = op.getLoc();
    bool bf16 = op.getElement() == chip::Half::Bf16;
    // NVVM has fragments of bf16 as words, those of f16 as pairs.
    auto fragment = [&](ValueRange words) {
      llvm::SmallVector<Value> all(words);
      if (bf16) return all;
      for (Value &word : all) word = LLVM::BitcastOp::create(b, at, VectorType::get({2}, b.getF16Type()), word);
      return all;
    };
    auto type = bf16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
    auto result = LLVM::LLVMStructType::getLiteral(b.getContext(), llvm::SmallVector<Type>(4, b.getF32Type()));
    Value product = NVVM::MmaOp::create(b, at, result, fragment(operands.getA()), fragment(operands.getB()),
                                        operands.getC(), {16, 8, 16}, std::nullopt, std::nullopt,
                                        std::array{type, type},
                                        std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
    llvm::SmallVector<Value> numbers;
    for (int64_t i = 0; i < 4; ++i) numbers.push_back(LLVM::ExtractValueOp::create(b, at, product, i));
    b.replaceOp(op, numbers);
    return success();
  }
};

struct LowerCopy : Pattern<chip::CopyOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::CopyOp op, Adaptor operands, ConversionPatternRewriter &b) const override {
    auto place = [&](TypedValue<MemRefType> memory, Value converted, Value index) {
      return getStridedElementPtr(b, op.getLoc(), memory.getType(), converted, index);
    };
    Value from = place(op.getFrom(), operands.getFrom(), operands.getFromIndex());
    Value to = place(op.getTo(), operands.getTo(), operands.getToIndex());
    // What goes past the nearest cache must be 16 bytes.
    auto way = op.getWords() == 4 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    b.replaceOpWithNewOp<NVVM::CpAsyncOp>(op, to, from, uint32_t(op.getWords() * 4), way, Value());
    return success();
  }
};

struct LowerCommit : Pattern<chip::CommitOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::CommitOp op, Adaptor, ConversionPatternRewriter &b) const override {
    b.replaceOpWithNewOp<NVVM::CpAsyncCommitGroupOp>(op);
    return success();
  }
};

struct LowerWait : Pattern<chip::WaitOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::WaitOp op, Adaptor, ConversionPatternRewriter &b) const override {
    b.replaceOpWithNewOp<NVVM::CpAsyncWaitGroupOp>(op, uint32_t(op.getGroups()));
    return success();
  }
};

struct LowerDot4 : Pattern<chip::Dot4Op> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::Dot4Op op, Adaptor operands, ConversionPatternRewriter &b) const override {
    auto bytes = [&](Value word) -> Value {
      return LLVM::BitcastOp::create(b, op.getLoc(), VectorType::get({4}, b.getI8Type()), word);
    };
    auto sign = [&](bool isSigned) {
      auto type = isSigned ? NVVM::DotAccumulateType::SIGNED : NVVM::DotAccumulateType::UNSIGNED;
      return NVVM::DotAccumulateTypeAttr::get(b.getContext(), type);
    };
    b.replaceOpWithNewOp<NVVM::DotAccumulate4WayOp>(op, b.getI32Type(), bytes(operands.getA()), sign(!op.getUnsignedA()),
                                                    bytes(operands.getB()), sign(true), operands.getC());
    return success();
  }
};

// A butterfly: value i and value i + half are added in both places, which gives both the same.
struct LowerReduce : Pattern<chip::ReduceOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::ReduceOp op, Adaptor operands, ConversionPatternRewriter &b) const override {
    Location at = op.getLoc();
    int64_t threads = threadsOf(op);
    Value present = constant(b, at, threads < chip::kWarp ? (int64_t(1) << threads) - 1 : -1);
    Value clamp = constant(b, at, chip::kWarp - 1), value = operands.getValue();
    for (int64_t half = int64_t(op.getAcross()) / 2; half >= 1; half /= 2) {
      Value other = NVVM::ShflOp::create(b, at, b.getF32Type(), present, value, constant(b, at, half), clamp,
                                         NVVM::ShflKind::bfly, UnitAttr());
      if (op.getFold() == chip::Fold::Sum) {
        value = LLVM::FAddOp::create(b, at, value, other);
      } else {
        Value larger = LLVM::FCmpOp::create(b, at, LLVM::FCmpPredicate::ogt, value, other);
        value = LLVM::SelectOp::create(b, at, larger, value, other);
      }
    }
    b.replaceOp(op, value);
    return success();
  }

  // The function around it may have been converted already.
  static int64_t threadsOf(Operation *op) {
    if (auto function = op->getParentOfType<gpu::GPUFuncOp>()) return function.getKnownBlockSize()->front();
    auto function = op->getParentOfType<LLVM::LLVMFuncOp>();
    return function->getAttrOfType<DenseI32ArrayAttr>(NVVM::NVVMDialect::getMaxntidAttrName())[0];
  }
};

} // namespace

void populateChipToNvvmPatterns(LLVMTypeConverter &types, RewritePatternSet &patterns) {
  patterns.add<LowerMma, LowerCopy, LowerCommit, LowerWait, LowerDot4, LowerReduce>(types);
}

} // namespace llmc::cuda
