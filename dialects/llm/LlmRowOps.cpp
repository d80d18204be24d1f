// Operations that look at one row at a time, linears apart: embed, norm, slice, rope, elementwise.
#include "dialects/llm/Llm.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace llmc::llm;

static WeightOp lookup(SymbolTableCollection &tables, Operation *op, FlatSymbolRefAttr name) {
  WeightOp weight = tables.lookupNearestSymbolFrom<WeightOp>(op, name);
  if (!weight)
    op->emitOpError("names no llm.weight of the module: ") << name;
  return weight;
}

static LogicalResult verifyTable(SymbolTableCollection &tables, Operation *op, FlatSymbolRefAttr name,
                                 int64_t columns) {
  WeightOp table = lookup(tables, op, name);
  if (!table)
    return failure();
  if (!table.isMatrix() || table.getColumns() != columns || table.getInterleave())
    return op->emitOpError("needs a table of ") << columns << " columns, " << name << " is " << table.getTensorType();
  return success();
}

LogicalResult EmbedOp::verifySymbolUses(SymbolTableCollection &tables) {
  int64_t columns = getColumns(getResult());
  if (failed(verifyTable(tables, *this, getTableAttr(), columns)))
    return failure();
  return getPositions() ? verifyTable(tables, *this, getPositionsAttr(), columns) : success();
}

// ---- norm ----------------------------------------------------------------------------------------------------------
LogicalResult NormOp::verify() {
  int64_t columns = getColumns(getInput());
  if (getGroup() && columns % getGroup())
    return emitOpError("group ") << getGroup() << " does not divide the " << columns << " columns";
  if (!(getEpsilon().convertToDouble() >= 0))
    return emitOpError("epsilon must not be negative");
  if (getBias() && (getKind() != NormKind::Layer || !getWeight()))
    return emitOpError("only a layer norm with a weight has a bias");
  return success();
}

LogicalResult NormOp::verifySymbolUses(SymbolTableCollection &tables) {
  int64_t length = getGroup() ? int64_t(getGroup()) : getColumns(getInput());
  for (FlatSymbolRefAttr name : {getWeightAttr(), getBiasAttr()}) {
    if (!name)
      continue;
    WeightOp weight = lookup(tables, *this, name);
    if (!weight)
      return failure();
    if (weight.isMatrix() || weight.getRows() != length || weight.getInterleave())
      return emitOpError("needs a vector of ") << length << ", " << name << " is " << weight.getTensorType();
  }
  return success();
}

// ---- slice ---------------------------------------------------------------------------------------------------------
LogicalResult SliceOp::verify() {
  int64_t offset = getOffset(), width = getColumns(getResult()), columns = getColumns(getInput());
  if (width > columns || offset > columns - width)
    return emitOpError("columns [") << offset << ", " << offset + width << ") are not in the input's " << columns;
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  return getColumns(getResult()) == getColumns(getInput()) ? getInput() : Value();
}

namespace {
// slice(slice(x, a), b) = slice(x, a + b)
struct MergeSlices : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<SliceOp>();
    if (!inner)
      return failure();
    rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), inner.getInput(), inner.getOffset() + op.getOffset());
    return success();
  }
};
} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeSlices>(context);
}

// ---- rope ----------------------------------------------------------------------------------------------------------
LogicalResult RopeOp::verify() {
  int64_t columns = getColumns(getInput());
  if (columns % getHeads())
    return emitOpError("the ") << columns << " columns are not " << getHeads() << " heads";
  if (getRope().getDim() > columns / int64_t(getHeads()))
    return emitOpError("turns ") << getRope().getDim() << " elements of heads of " << columns / int64_t(getHeads());
  return success();
}

// ---- scale ---------------------------------------------------------------------------------------------------------
OpFoldResult ScaleOp::fold(FoldAdaptor) { return getFactor().isExactlyValue(1.0) ? getInput() : Value(); }

namespace {
// scale(scale(x, a), b) = scale(x, a b) where one of them is a power of two: there is one rounding either way.
struct MergeScales : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  static bool isPowerOfTwo(const llvm::APFloat &number) { return number.getExactLog2Abs() != INT_MIN; }
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ScaleOp>();
    if (!inner || (!isPowerOfTwo(inner.getFactor()) && !isPowerOfTwo(op.getFactor())))
      return failure();
    double factor = inner.getFactor().convertToDouble() * op.getFactor().convertToDouble();
    rewriter.replaceOpWithNewOp<ScaleOp>(op, op.getType(), inner.getInput(), rewriter.getF64FloatAttr(factor));
    return success();
  }
};
} // namespace

void ScaleOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeScales>(context);
}
