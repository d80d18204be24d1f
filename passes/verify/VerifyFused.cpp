#include "passes/Passes.h"
#include "passes/fusion/Fusion.h"

namespace llmc {
#define GEN_PASS_DEF_VERIFYFUSED
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

struct VerifyFused : llmc::impl::VerifyFusedBase<VerifyFused> {
  LogicalResult verify(Operation *op, Weights &weights) {
    if (getFusableLinear(op))
      return op->emitError("is not part of the epilogue of the linear that it alone reads");
    if (auto norm = dyn_cast<NormOp>(op); norm && getOnlyLinear(norm))
      return op->emitError("is not part of the linear that alone reads it");
    if (auto slice = dyn_cast<SliceOp>(op); slice && slice.getInput().getDefiningOp<SliceOp>())
      return op->emitError("is a slice of a slice");
    if (auto linear = dyn_cast<LinearOp>(op); linear && getSiblings(linear.getInput(), weights).size() > 1)
      return op->emitError("is not one with the other linears that read its input");
    return success();
  }

  void runOnOperation() override {
    Weights weights(getOperation());
    WalkResult result = getOperation().walk([&](Operation *op) {
      return failed(verify(op, weights)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
