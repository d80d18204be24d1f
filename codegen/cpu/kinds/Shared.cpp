#include "codegen/cpu/Math.h"
#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

using namespace mlir;

const KindEmitter *findKind(llvm::StringRef kind) {
  static const KindEmitter *const kinds[] = {&kEmbed,    &kNorm, &kLinear,     &kRopeTable,
                                             &kRope,     &kCacheWrite, &kAttention, &kMap};
  for (const KindEmitter *emitter : kinds)
    if (kind == emitter->kind) return emitter;
  return nullptr;
}

const Scheme *configScheme(exec::KernelOp kernel) { return findScheme(configString(kernel, "scheme")); }

Expression matrixBytes(exec::KernelOp kernel, Expression blocks, Expression columns) {
  if (const Scheme *scheme = configScheme(kernel)) return Expression(scheme->chunkBytes()) * blocks * columns;
  return Expression(kLanes * KernelBuilder::elementBytes(configString(kernel, "element"))) * blocks * columns;
}

Value emitEpilogue(KernelBuilder &k, Region &region, const EpilogueInputs &inputs) {
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
      result.setType(k.f32Vec());
      lanes.map(narrow, result);
    }
  }
  llvm_unreachable("an epilogue ends in llm.yield");
}

} // namespace llmc::cpu
