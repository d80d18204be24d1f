#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

using namespace mlir;

const KindEmitter *findKind(llvm::StringRef kind) {
  static const KindEmitter *const kinds[] = {&kEmbed, &kNorm,       &kLinear,    &kLinearHeads,      &kRopeTable,
                                             &kRope,  &kCacheWrite, &kAttention, &kAttentionCombine, &kMap,
                                             &kTopK};
  for (const KindEmitter *emitter : kinds)
    if (kind == emitter->kind) return emitter;
  return nullptr;
}

const Scheme *configScheme(exec::KernelOp kernel) { return findScheme(configString(kernel, "scheme")); }

Expression matrixBytes(exec::KernelOp kernel, Expression blocks, Expression columns) {
  if (const Scheme *scheme = configScheme(kernel)) return Expression(scheme->chunk_bytes()) * blocks * columns;
  return Expression(kLanes * KernelBuilder::elementBytes(configString(kernel, "element"))) * blocks * columns;
}

} // namespace llmc::cpu
