#include "passes/Passes.h"

namespace llmc {
#define GEN_PASS_DEF_VERIFYQUANTIZED
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

struct VerifyQuantized : llmc::impl::VerifyQuantizedBase<VerifyQuantized> {
  using VerifyQuantizedBase::VerifyQuantizedBase;

  void runOnOperation() override {
    StringRef rounding = scheme != "none" || activations == "bf16" ? StringRef(activations) : "float";
    SymbolTable table(getOperation());
    llvm::DenseSet<StringRef> multiplied;
    WalkResult result = getOperation().walk([&](LinearOp linear) -> WalkResult {
      auto weight = table.lookup<WeightOp>(linear.getWeight());
      multiplied.insert(weight.getSymName());
      if (weight.getScheme() != scheme)
        return linear.emitError("its weight @") << linear.getWeight() << " has scheme " << weight.getScheme()
                                                << ", asked for is " << scheme;
      if (linear.getActivations() != rounding)
        return linear.emitError("its activations are ") << linear.getActivations() << ", asked for are " << rounding;
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (auto weight : getOperation().getOps<WeightOp>()) {
      if (weight.getScheme() == "none" || multiplied.contains(weight.getSymName()))
        continue;
      weight.emitError("is quantized, but no linear multiplies with it");
      return signalPassFailure();
    }
  }
};

} // namespace
