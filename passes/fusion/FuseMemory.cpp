#include "passes/Passes.h"
#include "passes/fusion/Fusion.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace llmc {
#define GEN_PASS_DEF_FUSEMEMORY
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// slice(f(a, b)) = f(slice(a), slice(b)): less is computed, and the slices may meet others.
struct SliceElementwise : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp slice, PatternRewriter &rewriter) const override {
    Operation *op = slice.getInput().getDefiningOp();
    if (!isa_and_nonnull<ActivationOp, ScaleOp, AddOp, MulOp>(op) || !op->hasOneUse())
      return failure();
    rewriter.setInsertionPoint(slice);
    IRMapping map;
    for (Value operand : op->getOperands())
      map.map(operand, SliceOp::create(rewriter, slice.getLoc(), slice.getType(), operand, slice.getOffset()));
    Operation *copy = rewriter.clone(*op, map);
    copy->getResult(0).setType(slice.getType());
    rewriter.replaceOp(slice, copy->getResults());
    rewriter.eraseOp(op);
    return success();
  }
};

// A plain linear of which one slice alone is read: rows that nobody wants are not computed.
bool narrow(SliceOp slice, Weights &weights) {
  auto linear = slice.getInput().getDefiningOp<LinearOp>();
  if (!linear || !linear.getResult().hasOneUse() || linear.getGated() || !linear.getRows().empty())
    return false;
  if (weights.countUses(linear.getWeightAttr()) != 1 || weights.lookup(linear.getWeightAttr()).getComputed())
    return false;
  int64_t first = slice.getOffset(), count = getColumns(slice.getResult());
  auto take = [&](FlatSymbolRefAttr name) {
    auto narrowed = FlatSymbolRefAttr::get(weights.slice(weights.lookup(name), first, count));
    weights.use(narrowed);
    weights.drop(name);
    return narrowed;
  };
  SmallVector<Attribute> vectors;
  for (auto vector : linear.getVectors().getAsRange<FlatSymbolRefAttr>())
    vectors.push_back(take(vector));
  linear.setWeightAttr(take(linear.getWeightAttr()));
  linear.setVectorsAttr(ArrayAttr::get(linear.getContext(), vectors));
  linear.getResult().setType(slice.getType());
  slice.replaceAllUsesWith(linear.getResult());
  slice.erase();
  return true;
}

struct FuseMemory : llmc::impl::FuseMemoryBase<FuseMemory> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    SliceOp::getCanonicalizationPatterns(patterns, &getContext());
    patterns.add<SliceElementwise>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    Weights weights(getOperation());
    SmallVector<SliceOp> slices;
    getOperation().walk([&](SliceOp slice) { slices.push_back(slice); });
    for (SliceOp slice : slices)
      narrow(slice, weights);
    weights.eraseUnused();
  }
};

} // namespace
