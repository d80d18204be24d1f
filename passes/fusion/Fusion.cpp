#include "passes/fusion/Fusion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

// yield(acc + bias)
static bool addsBiasOnly(LinearOp linear) {
  Block &block = linear.getEpilogue().front();
  if (linear.getVectors().size() != 1 || block.getOperations().size() != 2)
    return false;
  auto sum = dyn_cast<arith::AddFOp>(block.front());
  if (!sum || cast<YieldOp>(block.back()).getValue() != sum.getResult())
    return false;
  Value accumulator = block.getArgument(0), bias = block.getArgument(1);
  return (sum.getLhs() == accumulator && sum.getRhs() == bias) || (sum.getLhs() == bias && sum.getRhs() == accumulator);
}

bool llmc::isPlainLinear(LinearOp linear) {
  if (linear.getGated() || linear.getNorm() || !linear.getRows().empty() || linear.getAdapter())
    return false;
  return !linear.hasEpilogue() || addsBiasOnly(linear);
}

FlatSymbolRefAttr llmc::getBias(LinearOp plain) {
  return plain.getVectors().empty() ? FlatSymbolRefAttr() : cast<FlatSymbolRefAttr>(plain.getVectors()[0]);
}

LinearOp llmc::getFusableLinear(Operation *elementwise) {
  if (!isa<ActivationOp, ScaleOp, AddOp, MulOp>(elementwise))
    return {};
  LinearOp best;
  for (Value operand : elementwise->getOperands()) {
    auto linear = operand.getDefiningOp<LinearOp>();
    bool fits = linear && operand.hasOneUse() && linear->getBlock() == elementwise->getBlock();
    if (fits && (!best || best->isBeforeInBlock(linear)))
      best = linear;
  }
  return best;
}

LinearOp llmc::getOnlyLinear(NormOp norm) {
  if (norm.getGroup() || !norm.getResult().hasOneUse())
    return {};
  OpOperand &use = *norm.getResult().use_begin();
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  return linear && use.get() == linear.getInput() && use.getOperandNumber() == 0 && !linear.getNorm() ? linear
                                                                                                      : LinearOp();
}

// Can the linear's rows go into a weight shared with others? An elementwise reader is better off in its epilogue.
static bool canJoin(LinearOp linear, Weights &weights) {
  if (!isPlainLinear(linear) || weights.countUses(linear.getWeightAttr()) != 1)
    return false;
  if (FlatSymbolRefAttr bias = getBias(linear); bias && weights.countUses(bias) != 1)
    return false;
  Value result = linear.getResult();
  return !(result.hasOneUse() && isa<ActivationOp, ScaleOp, AddOp, MulOp>(*result.user_begin()));
}

SmallVector<LinearOp> llmc::getSiblings(Value value, Weights &weights) {
  SmallVector<LinearOp> siblings;
  for (Operation *user : value.getUsers()) {
    auto linear = dyn_cast<LinearOp>(user);
    if (linear && linear.getInput() == value && canJoin(linear, weights))
      siblings.push_back(linear);
  }
  llvm::sort(siblings, [](LinearOp a, LinearOp b) { return a->isBeforeInBlock(b); });
  // Alike with the first: one element type and scheme, one rounding of the input.
  llvm::erase_if(siblings, [&](LinearOp linear) {
    WeightOp first = weights.lookup(siblings.front().getWeightAttr()), own = weights.lookup(linear.getWeightAttr());
    return own.getElement() != first.getElement() || own.getScheme() != first.getScheme() ||
           linear.getActivations() != siblings.front().getActivations() ||
           linear->getBlock() != siblings.front()->getBlock();
  });
  return siblings;
}
