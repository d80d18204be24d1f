#include "passes/Passes.h"
#include "passes/fusion/Fusion.h"

namespace llmc {
#define GEN_PASS_DEF_FUSENORMLINEAR
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

struct FuseNormLinear : llmc::impl::FuseNormLinearBase<FuseNormLinear> {
  void runOnOperation() override {
    SmallVector<NormOp> norms;
    getOperation().walk([&](NormOp norm) { norms.push_back(norm); });
    for (NormOp norm : norms)
      if (LinearOp linear = getOnlyLinear(norm))
        fuse(norm, linear);
  }

  static void fuse(NormOp norm, LinearOp linear) {
    linear.getInputMutable().assign(norm.getInput());
    linear.setNorm(norm.getKind());
    linear.setNormEpsilonAttr(norm.getEpsilonAttr());
    if (norm.getWeightAttr())
      linear.setNormWeightAttr(norm.getWeightAttr());
    if (norm.getBiasAttr())
      linear.setNormBiasAttr(norm.getBiasAttr());
    norm.erase();
  }
};

} // namespace
