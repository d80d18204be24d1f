#include "passes/Passes.h"
#include "passes/fusion/Fusion.h"

#include "mlir/IR/Builders.h"

namespace llmc {
#define GEN_PASS_DEF_FUSEHORIZONTAL
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

constexpr int64_t gateBlock = 16; // rows of a gate that stand together, then as many of its up projection

// act(gate) * up, where nothing else reads what lies between.
struct GatedProduct {
  MulOp product;
  ActivationOp activation;
  Value gate, up;
};

std::optional<GatedProduct> matchProduct(MulOp product) {
  for (bool swapped : {false, true}) {
    Value act = swapped ? product.getRhs() : product.getLhs(), up = swapped ? product.getLhs() : product.getRhs();
    auto activation = act.getDefiningOp<ActivationOp>();
    if (activation && act.hasOneUse() && up.hasOneUse() && activation.getInput().hasOneUse())
      return GatedProduct{product, activation, activation.getInput(), up};
  }
  return std::nullopt;
}

class Fuser {
public:
  explicit Fuser(ModuleOp module) : weights(module), builder(module.getContext()) {}

  void run(func::FuncOp function) {
    SmallVector<MulOp> products;
    function.walk([&](MulOp op) { products.push_back(op); });
    for (MulOp op : products)
      if (std::optional<GatedProduct> match = matchProduct(op))
        fusePair(*match) || fuseHalves(*match);
    SmallVector<Value> inputs; // of linears, each once, in order
    llvm::SmallPtrSet<Value, 16> seen;
    function.walk([&](LinearOp op) {
      if (seen.insert(op.getInput()).second)
        inputs.push_back(op.getInput());
    });
    for (Value input : inputs)
      if (auto siblings = getSiblings(input, weights); siblings.size() > 1)
        fuseSiblings(siblings);
    weights.eraseUnused();
  }

private:
  bool fusePair(const GatedProduct &match);
  bool fuseHalves(const GatedProduct &match);
  void fuseSiblings(ArrayRef<LinearOp> siblings);
  FlatSymbolRefAttr concatenateWeights(ArrayRef<LinearOp> linears, int64_t interleave);
  FlatSymbolRefAttr concatenateBiases(ArrayRef<LinearOp> linears, int64_t interleave);
  void createGated(const GatedProduct &match, LinearOp model, FlatSymbolRefAttr weight, FlatSymbolRefAttr bias);
  bool ownsItsWeights(LinearOp linear);
  void erase(LinearOp linear);
  FlatSymbolRefAttr named(WeightOp weight) {
    auto name = FlatSymbolRefAttr::get(weight);
    weights.use(name);
    return name;
  }

  Weights weights;
  OpBuilder builder;
};

bool Fuser::ownsItsWeights(LinearOp linear) {
  FlatSymbolRefAttr bias = getBias(linear);
  return weights.countUses(linear.getWeightAttr()) == 1 && (!bias || weights.countUses(bias) == 1);
}

FlatSymbolRefAttr Fuser::concatenateWeights(ArrayRef<LinearOp> linears, int64_t interleave) {
  SmallVector<Weights::Part> parts;
  for (LinearOp linear : linears)
    parts.push_back({weights.lookup(linear.getWeightAttr())});
  return named(weights.concatenate(parts, interleave));
}

// Null if none has a bias. Adding a zero changes no value but the sign of a zero.
FlatSymbolRefAttr Fuser::concatenateBiases(ArrayRef<LinearOp> linears, int64_t interleave) {
  if (llvm::none_of(linears, [](LinearOp linear) { return bool(getBias(linear)); }))
    return {};
  SmallVector<Weights::Part> parts;
  for (LinearOp linear : linears) {
    FlatSymbolRefAttr bias = getBias(linear);
    parts.push_back({bias ? weights.lookup(bias) : WeightOp(), linear.getOutputColumns()});
  }
  return named(weights.concatenate(parts, interleave));
}

void Fuser::erase(LinearOp linear) {
  weights.drop(linear.getWeightAttr());
  if (FlatSymbolRefAttr bias = getBias(linear))
    weights.drop(bias);
  linear.erase();
}

// The gated linear in place of the product: act(gate + bias) * (up + bias).
void Fuser::createGated(const GatedProduct &match, LinearOp model, FlatSymbolRefAttr weight, FlatSymbolRefAttr bias) {
  MulOp product = match.product;
  builder.setInsertionPoint(product);
  auto type = cast<RankedTensorType>(product.getType());
  auto fused = LinearOp::create(builder, product.getLoc(), type, model.getInput(), weight, FlatSymbolRefAttr());
  fused.setGated(true);
  fused.setActivations(model.getActivations());
  if (bias)
    fused.setVectorsAttr(builder.getArrayAttr(bias));
  Block *block = fused.createEpilogue(builder);
  builder.setInsertionPointToEnd(block);
  Location loc = product.getLoc();
  Value gate = block->getArgument(0), up = block->getArgument(1);
  if (bias) {
    gate = arith::AddFOp::create(builder, loc, gate, fused.getVectorArgument(0, false));
    up = arith::AddFOp::create(builder, loc, up, fused.getVectorArgument(0, true));
  }
  ActivationOp activation = match.activation;
  Value active = ScalarActivationOp::create(builder, loc, builder.getF32Type(), gate, activation.getKind());
  bool activeFirst = product.getLhs() == activation.getResult();
  Value result = arith::MulFOp::create(builder, loc, activeFirst ? active : up, activeFirst ? up : active);
  YieldOp::create(builder, loc, result);
  product.replaceAllUsesWith(fused.getResult());
  product.erase();
  activation.erase();
}

// Two linears, gate and up, of one value.
bool Fuser::fusePair(const GatedProduct &match) {
  auto gate = match.gate.getDefiningOp<LinearOp>(), up = match.up.getDefiningOp<LinearOp>();
  if (!gate || !up || gate.getInput() != up.getInput() || !isPlainLinear(gate) || !isPlainLinear(up))
    return false;
  WeightOp gateWeight = weights.lookup(gate.getWeightAttr()), upWeight = weights.lookup(up.getWeightAttr());
  bool alike = gateWeight.getElement() == upWeight.getElement() && gateWeight.getScheme() == upWeight.getScheme() &&
               gate.getActivations() == up.getActivations();
  if (!alike || !ownsItsWeights(gate) || !ownsItsWeights(up))
    return false;
  FlatSymbolRefAttr weight = concatenateWeights({gate, up}, gateBlock);
  FlatSymbolRefAttr bias = concatenateBiases({gate, up}, gateBlock);
  createGated(match, gate, weight, bias);
  erase(gate);
  erase(up);
  return true;
}

// One linear whose first half is the gate and whose second half is the up projection.
bool Fuser::fuseHalves(const GatedProduct &match) {
  auto gate = match.gate.getDefiningOp<SliceOp>(), up = match.up.getDefiningOp<SliceOp>();
  if (!gate || !up || gate.getInput() != up.getInput())
    return false;
  auto linear = gate.getInput().getDefiningOp<LinearOp>();
  int64_t width = getColumns(match.gate);
  bool halves = linear && linear.getOutputColumns() == 2 * width && gate.getOffset() == 0 &&
                int64_t(up.getOffset()) == width && linear.getResult().hasNUses(2);
  if (!halves || !isPlainLinear(linear) || !ownsItsWeights(linear))
    return false;
  FlatSymbolRefAttr weight = concatenateWeights({linear}, gateBlock), bias = concatenateBiases({linear}, gateBlock);
  createGated(match, linear, weight, bias);
  gate.erase();
  up.erase();
  erase(linear);
  return true;
}

void Fuser::fuseSiblings(ArrayRef<LinearOp> siblings) {
  LinearOp first = siblings.front();
  int64_t columns = 0;
  for (LinearOp linear : siblings)
    columns += linear.getOutputColumns();
  FlatSymbolRefAttr weight = concatenateWeights(siblings, 0), bias = concatenateBiases(siblings, 0);
  builder.setInsertionPoint(first);
  auto fused = LinearOp::create(builder, first.getLoc(), getRowsType(builder.getContext(), columns), first.getInput(),
                                weight, bias);
  fused.setActivations(first.getActivations());
  int64_t offset = 0;
  for (LinearOp linear : siblings) {
    auto slice = SliceOp::create(builder, linear.getLoc(), linear.getType(), fused.getResult(), offset);
    offset += linear.getOutputColumns();
    linear.replaceAllUsesWith(slice.getResult());
  }
  for (LinearOp linear : siblings)
    erase(linear);
}

struct FuseHorizontal : llmc::impl::FuseHorizontalBase<FuseHorizontal> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      Fuser(getOperation()).run(function);
  }
};

} // namespace
