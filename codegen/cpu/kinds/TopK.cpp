// top_k: what it may touch. Its code is of GPUs alone (codegen/gpu/kinds/TopK.cpp): a CPU's logits are where its sampler
// reads them.
#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

namespace {

enum Scalars { kRows, kColumns, kRuns, kLd };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  info.scalarCount = 4;
  int64_t bytes = configBool(kernel, "pairs") ? 8 : 4;
  info.reads(Expression(bytes) * (s(kRows) * s(kLd) - s(kLd) + s(kColumns)));
  info.writes(Expression(8 * configInt(kernel, "count")) * s(kRows) * s(kRuns));
  info.requireCeil(s(kColumns), s(kRuns), exec::kTopKColumns);
  info.items = s(kRows) * s(kRuns);
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

} // namespace

const KindEmitter kTopK = {"top_k", describe, nullptr};

} // namespace llmc::cpu
