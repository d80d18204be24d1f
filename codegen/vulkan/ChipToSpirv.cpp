#include "codegen/vulkan/ChipToSpirv.h"

#include "codegen/vulkan/MatrixToSpirv.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "runtime/abi/kernel.h"

namespace llmc::vulkan {

using namespace mlir;

namespace {

void lowerDot4(chip::Dot4Op op) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  auto format = spirv::PackedVectorFormatAttr::get(b.getContext(), spirv::PackedVectorFormat::PackedVectorFormat4x8Bit);
  Value product; // of signed bytes by bytes that are signed or not
  if (op.getUnsignedA())
    product = spirv::SUDotOp::create(b, b.getI32Type(), op.getB(), op.getA(), format);
  else
    product = spirv::SDotOp::create(b, b.getI32Type(), op.getA(), op.getB(), format);
  op.replaceAllUsesWith(arith::AddIOp::create(b, product, op.getC()).getResult());
  op.erase();
}

// Butterflies: value i and value i + half are taken together in both places, which gives both the same, and the bits of the
// tree. The reductions that SPIR-V has of its own (OpGroupNonUniformFAdd) leave the order open.
//
// How many threads a subgroup has is the device's, and known to its compiler: halves that reach out of one go through
// the workgroup's memory, and of both ways one is compiled.
class Reductions {
public:
  explicit Reductions(mlir::gpu::GPUFuncOp function) : function(function) {}

  void lower(chip::ReduceOp op) {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Value value = op.getValue();
    for (int64_t half = int64_t(op.getAcross()) / 2; half >= 1; half /= 2) {
      Value other = half < kSmallest ? shuffled(b, value, half) : exchanged(b, value, half);
      if (op.getFold() == chip::Fold::Sum) {
        value = arith::AddFOp::create(b, value, other);
      } else {
        Value larger = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, value, other);
        value = arith::SelectOp::create(b, larger, value, other);
      }
    }
    op.replaceAllUsesWith(value);
    op.erase();
  }

private:
  static constexpr int64_t kSmallest = 4; // threads of a subgroup (LLMRT_FEATURE_SUBGROUP_SHUFFLE)

  static Value shuffled(ImplicitLocOpBuilder &b, Value value, int64_t half) {
    Value mask = arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(half)));
    return spirv::GroupNonUniformShuffleXorOp::create(b, value.getType(), spirv::Scope::Subgroup, value, mask);
  }

  Value exchanged(ImplicitLocOpBuilder &b, Value value, int64_t half) {
    if (!memory) prepare();
    Value distance = arith::ConstantOp::create(b, b.getIndexAttr(half));
    Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, distance, size);
    auto branch = scf::IfOp::create(b, TypeRange(value.getType()), inside, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, ValueRange(shuffled(b, value, half)));
    b.setInsertionPointToStart(branch.elseBlock());
    memref::StoreOp::create(b, value, memory, ValueRange{thread});
    mlir::gpu::BarrierOp::create(b);
    Value at = arith::XOrIOp::create(b, thread, distance);
    Value other = memref::LoadOp::create(b, memory, ValueRange{at});
    mlir::gpu::BarrierOp::create(b); // before the memory is written again
    scf::YieldOp::create(b, ValueRange(other));
    return branch.getResult(0);
  }

  // One piece of memory for all reductions: each leaves it with a barrier.
  void prepare() {
    ImplicitLocOpBuilder b(function.getLoc(), function.getContext());
    auto space = mlir::gpu::AddressSpaceAttr::get(b.getContext(), mlir::gpu::AddressSpace::Workgroup);
    int64_t threads = function.getKnownBlockSize()->front();
    auto type = MemRefType::get({threads}, b.getF32Type(), MemRefLayoutAttrInterface{}, space);
    memory = function.addWorkgroupAttribution(type, function.getLoc());
    b.setInsertionPointToStart(&function.getBody().front());
    thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
    size = mlir::gpu::SubgroupSizeOp::create(b, /*upper_bound=*/IntegerAttr());
  }

  mlir::gpu::GPUFuncOp function;
  Value memory, thread, size; // `size`: threads of a subgroup
};

} // namespace

uint64_t featureFor(Operation *op) {
  if (isa<chip::Dot4Op>(op)) return LLMRT_FEATURE_INT_DOT;
  if (isa<chip::ReduceOp>(op)) return LLMRT_FEATURE_SUBGROUP_SHUFFLE;
  return isMatrixProduct(op) ? LLMRT_FEATURE_MATRIX_BF16 : 0;
}

void lowerChip(mlir::gpu::GPUFuncOp function, uint64_t features) {
  chip::lowerPlainly(function, [&](Operation *op) { return (features & featureFor(op)) != 0; });
  Reductions reductions(function);
  function.walk([&](Operation *op) {
    if (auto dot = dyn_cast<chip::Dot4Op>(op))
      lowerDot4(dot);
    else if (auto reduce = dyn_cast<chip::ReduceOp>(op))
      reductions.lower(reduce);
  });
}

} // namespace llmc::vulkan
