#include "passes/Passes.h"
#include "passes/fusion/Fusion.h"

#include "mlir/IR/Builders.h"

namespace llmc {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// The argument of `row` in the linear's epilogue, added if it has none.
Value getOrAddRow(LinearOp linear, Value row) {
  for (auto [index, known] : llvm::enumerate(linear.getRows()))
    if (known == row)
      return linear.getRowArgument(index);
  Block &block = linear.getEpilogue().front();
  unsigned place = linear.getFanout() + linear.getRows().size();
  linear.getRowsMutable().append(row);
  return block.insertArgument(place, Float32Type::get(linear.getContext()), row.getLoc());
}

// The scalar that the elementwise `op` makes of the linear's value.
Value createScalar(OpBuilder &builder, Operation *op, LinearOp linear, Value value) {
  Location loc = op->getLoc();
  if (auto activation = dyn_cast<ActivationOp>(op))
    return ScalarActivationOp::create(builder, loc, builder.getF32Type(), value, activation.getKind());
  if (auto scale = dyn_cast<ScaleOp>(op)) {
    auto factor = builder.getF32FloatAttr(float(scale.getFactor().convertToDouble()));
    return arith::MulFOp::create(builder, loc, value, arith::ConstantOp::create(builder, loc, factor));
  }
  bool isLeft = op->getOperand(0) == linear.getResult();
  Value other = getOrAddRow(linear, op->getOperand(isLeft ? 1 : 0));
  Value lhs = isLeft ? value : other, rhs = isLeft ? other : value;
  if (isa<AddOp>(op))
    return arith::AddFOp::create(builder, loc, lhs, rhs);
  return arith::MulFOp::create(builder, loc, lhs, rhs);
}

void fuse(Operation *op, LinearOp linear) {
  OpBuilder builder(op);
  if (!linear.hasEpilogue()) {
    Block *block = linear.createEpilogue(builder);
    builder.setInsertionPointToEnd(block);
    YieldOp::create(builder, linear.getLoc(), block->getArgument(0));
  }
  auto yield = cast<YieldOp>(linear.getEpilogue().front().getTerminator());
  builder.setInsertionPoint(yield);
  yield.getValueMutable().assign(createScalar(builder, op, linear, yield.getValue()));
  linear->moveBefore(op); // a row may be made after the linear was
  op->getResult(0).replaceAllUsesWith(linear.getResult());
  op->erase();
}

struct FuseEpilogue : llmc::impl::FuseEpilogueBase<FuseEpilogue> {
  void runOnOperation() override {
    SmallVector<Operation *> elementwise; // in order, so that a chain goes in from its start
    getOperation().walk([&](Operation *op) {
      if (isa<ActivationOp, ScaleOp, AddOp, MulOp>(op))
        elementwise.push_back(op);
    });
    for (Operation *op : elementwise)
      if (LinearOp linear = getFusableLinear(op))
        fuse(op, linear);
  }
};

} // namespace
