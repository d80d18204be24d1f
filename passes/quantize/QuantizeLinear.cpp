#include "passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace llmc {
#define GEN_PASS_DEF_QUANTIZELINEAR
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// Null if the name is none of f32, bf16, f16.
Type parseElement(MLIRContext *context, StringRef name) {
  if (name == "f32")
    return Float32Type::get(context);
  if (name == "bf16")
    return BFloat16Type::get(context);
  return name == "f16" ? Float16Type::get(context) : Type();
}

struct QuantizeLinear : llmc::impl::QuantizeLinearBase<QuantizeLinear> {
  using QuantizeLinearBase::QuantizeLinearBase;

  LogicalResult checkOptions() {
    ModuleOp module = getOperation();
    if (!isKnownScheme(scheme))
      return module.emitError() << "unknown quantization scheme '" << scheme << "'; use none, q8_g32, q4_g32 or q4_g128";
    if (!isKnownActivations(activations))
      return module.emitError() << "unknown activations '" << activations << "'; use int8, bf16 or float";
    if (!element.empty() && !parseElement(&getContext(), element))
      return module.emitError() << "unknown element '" << element << "'; use f32, bf16 or f16";
    return success();
  }

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    ModuleOp module = getOperation();
    Type stored = parseElement(&getContext(), element);
    if (stored)
      for (auto weight : module.getOps<WeightOp>())
        if (weight.isMatrix())
          weight.setType(RankedTensorType::get(weight.getTensorType().getShape(), stored));
    // int8, the default, is of quantized weights alone.
    StringRef rounding = scheme != "none" || activations == "bf16" ? StringRef(activations) : "float";
    SymbolTable table(module);
    WalkResult result = module.walk([&](LinearOp linear) -> WalkResult {
      auto weight = table.lookup<WeightOp>(linear.getWeight());
      if (scheme == "none" && rounding == "bf16" && !weight.getElement().isBF16())
        return linear.emitError("bf16 activations multiply quantized weights or bf16 ones, @")
               << linear.getWeight() << " is " << weight.getTensorType()
               << "; choose a quantization, bf16 as the element or float activations";
      weight.setScheme(scheme);
      linear.setActivations(rounding);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
