#include "codegen/common/Epilogue.h"

#include "codegen/common/Math.h"

#include "mlir/IR/IRMapping.h"

namespace llmc::codegen {

using namespace mlir;

Value emitEpilogue(NumberBuilder &k, Region &region, const EpilogueInputs &inputs) {
  if (region.empty()) return inputs.accumulators.front();
  IRMapping lanes;
  Block &block = region.front();
  Values arguments(inputs.accumulators);
  llvm::append_range(arguments, inputs.rows);
  llvm::append_range(arguments, inputs.vectors);
  assert(arguments.size() == block.getNumArguments());
  lanes.map(block.getArguments(), arguments);
  for (Operation &op : block) {
    if (auto yield = dyn_cast<llm::YieldOp>(op)) return lanes.lookup(yield.getValue());
    if (auto activation = dyn_cast<llm::ScalarActivationOp>(op)) {
      lanes.map(activation.getResult(), emitActivation(k, activation.getKind(), lanes.lookup(activation.getInput())));
      continue;
    }
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      lanes.map(constant.getResult(), k.splat(cast<FloatAttr>(constant.getValue()).getValueAsDouble()));
      continue;
    }
    Operation *wide = k.b.clone(op, lanes);
    for (auto [narrow, result] : llvm::zip(op.getResults(), wide->getResults())) {
      result.setType(k.f32Number());
      lanes.map(narrow, result);
    }
  }
  llvm_unreachable("an epilogue ends in llm.yield");
}

} // namespace llmc::codegen
