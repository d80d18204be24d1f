#include "codegen/cuda/ChipToNvvm.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace llmc::cuda {

using namespace mlir;

gpu::MatrixUnits matrixUnits(llvm::StringRef virtualChip) {
  if (virtualChip == "sm_90a") return gpu::MatrixUnits::Warpgroup;
  int number = 0;
  virtualChip.consume_front("sm_");
  bool known = !virtualChip.consumeInteger(10, number);
  return known && number >= 80 ? gpu::MatrixUnits::Warp : gpu::MatrixUnits::None;
}

bool hasInstruction(llvm::StringRef virtualChip, Operation *op) {
  if (isa<chip::Dot4Op, chip::ReduceOp>(op)) return true;
  gpu::MatrixUnits units = matrixUnits(virtualChip);
  if (isa<chip::WarpgroupMmaOp, chip::PublishOp>(op)) return units == gpu::MatrixUnits::Warpgroup;
  return units != gpu::MatrixUnits::None;
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

// NVVM's operation takes A from memory alone, hence the text. Both products, and the wait for them, are in one piece: no
// compiler sees registers that are still being written. What keeps a multiprocessor busy meanwhile is other workgroups.
std::string warpgroupText(llvm::StringRef type) {
  auto list = [](int64_t first, int64_t count) {
    std::string all;
    for (int64_t i = first; i < first + count; ++i) all += (i == first ? "{$" : ", $") + std::to_string(i);
    return all + "}";
  };
  constexpr int64_t kA = chip::kWarpgroupNumbers, kB = kA + chip::kWarpgroupWords; // operands
  auto product = [&](int64_t which, llvm::StringRef begins) {
    return "wgmma.mma_async.sync.aligned.m64n64k16.f32." + type.str() + "." + type.str() + " " + list(0, kA) + ", " +
           list(kA + 4 * which, 4) + ", $" + std::to_string(kB + which) + ", " + begins.str() + ", 1, 1, 0;\n";
  };
  return "{\n.reg .pred %first, %then;\nmov.pred %first, 0;\nmov.pred %then, -1;\nwgmma.fence.sync.aligned;\n" +
         product(0, "%first") + product(1, "%then") +
         "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n}";
}

struct LowerWarpgroupMma : Pattern<chip::WarpgroupMmaOp> {
  using Pattern::Pattern;
  // A matrix in shared memory as PTX describes it: bits 0 to 13 its address, 16 to 29 the distance of 8 x 8 numbers along K
  // (the leading one), 32 to 45 along N (the stride), in 16 bytes; no swizzle.
  static constexpr int64_t kUnit = 128 / 16, kEight = 4 * kUnit, kDistances = kUnit << 16 | kEight << 32;
  static constexpr int64_t kProduct = 2 * kUnit; // from the first product's B to the second's

  LogicalResult matchAndRewrite(chip::WarpgroupMmaOp op, Adaptor operands, ConversionPatternRewriter &b) const override {
    Location at = op.getLoc();
    llvm::SmallVector<Value> all(operands.getA());
    all.append(describeB(op, operands, b));
    std::string constraints;
    for (int64_t i = 0; i < chip::kWarpgroupNumbers; ++i) constraints += "=&f,";
    for (int64_t i = 0; i < chip::kWarpgroupWords; ++i) constraints += "r,";
    Type result = LLVM::LLVMStructType::getLiteral(
        b.getContext(), llvm::SmallVector<Type>(chip::kWarpgroupNumbers, b.getF32Type()));
    std::string text = warpgroupText(stringifyHalf(op.getElement()));
    Value product = LLVM::InlineAsmOp::create(b, at, result, all, text, constraints + "l,l,~{memory}",
                                              /*has_side_effects=*/true, /*is_align_stack=*/false,
                                              LLVM::tailcallkind::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
                        .getRes();
    llvm::SmallVector<Value> numbers;
    for (int64_t i = 0; i < chip::kWarpgroupNumbers; ++i) numbers.push_back(LLVM::ExtractValueOp::create(b, at, product, i));
    b.replaceOp(op, numbers);
    return success();
  }

  // Of both products.
  llvm::SmallVector<Value> describeB(chip::WarpgroupMmaOp op, Adaptor operands, ConversionPatternRewriter &b) const {
    Location at = op.getLoc();
    auto wide = [&](int64_t value) -> Value {
      return LLVM::ConstantOp::create(b, at, b.getI64Type(), b.getI64IntegerAttr(value));
    };
    Value distances = wide(kDistances), further = wide(kProduct), field = constant(b, at, 0x3fff0), four = constant(b, at, 4);
    Value address = getStridedElementPtr(b, at, op.getB().getType(), operands.getB(), operands.getIndex());
    address = LLVM::PtrToIntOp::create(b, at, b.getI32Type(), address);
    address = LLVM::LShrOp::create(b, at, LLVM::AndOp::create(b, at, address, field), four);
    address = LLVM::ZExtOp::create(b, at, b.getI64Type(), address);
    Value first = LLVM::OrOp::create(b, at, address, distances);
    return {first, LLVM::AddOp::create(b, at, first, further)};
  }
};

struct LowerPublish : Pattern<chip::PublishOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::PublishOp op, Adaptor, ConversionPatternRewriter &b) const override {
    auto space = NVVM::SharedSpaceAttr::get(b.getContext(), NVVM::SharedSpace::shared_cta);
    b.replaceOpWithNewOp<NVVM::FenceProxyOp>(op, NVVM::ProxyKind::async_shared, space);
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

// As a product with one and a sum, which chips have from 8.0 on; a sum alone they have from 9.0 on, and LLVM makes f32 of it
// before.
struct LowerAddPairs : Pattern<chip::AddPairsOp> {
  using Pattern::Pattern;
  LogicalResult matchAndRewrite(chip::AddPairsOp op, Adaptor operands, ConversionPatternRewriter &b) const override {
    Value ones = constant(b, op.getLoc(), 0x3f803f80);
    b.replaceOpWithNewOp<LLVM::InlineAsmOp>(op, b.getI32Type(), ValueRange{operands.getA(), ones, operands.getB()},
                                            "fma.rn.bf16x2 $0, $1, $2, $3;", "=r,r,r,r", /*has_side_effects=*/false,
                                            /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
                                            LLVM::AsmDialectAttr(), ArrayAttr());
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
    if (auto function = op->getParentOfType<mlir::gpu::GPUFuncOp>()) return function.getKnownBlockSize()->front();
    auto function = op->getParentOfType<LLVM::LLVMFuncOp>();
    return function->getAttrOfType<DenseI32ArrayAttr>(NVVM::NVVMDialect::getMaxntidAttrName())[0];
  }
};

} // namespace

void populateChipToNvvmPatterns(LLVMTypeConverter &types, RewritePatternSet &patterns) {
  patterns.add<LowerMma, LowerWarpgroupMma, LowerPublish, LowerCopy, LowerCommit, LowerWait, LowerDot4, LowerAddPairs,
               LowerReduce>(types);
}

} // namespace llmc::cuda
