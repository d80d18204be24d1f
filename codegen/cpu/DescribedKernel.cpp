#include "codegen/cpu/DescribedKernel.h"

#include "codegen/cpu/KernelBuilder.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>

namespace llmc::cpu {

std::string DescribedKernel::idText() const {
  return llvm::toHex(llvm::ArrayRef<uint8_t>(id), /*LowerCase=*/true);
}

llvm::Expected<std::vector<DescribedKernel>> describeKernels(llvm::ArrayRef<exec::KernelOp> kernels,
                                                             const codegen::CpuTier &tier) {
  std::vector<DescribedKernel> all;
  for (exec::KernelOp op : kernels) {
    const KindEmitter *kind = findKind(op.getKind());
    if (!kind || !kind->emit)
      return llvm::createStringError("kernel '" + op.getSymName() + "' is of kind '" + op.getKind() +
                                     "', which the CPU target does not have");
    all.push_back({op, codegen::kernelId(op), kind->describe(op, tier)});
  }
  std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.id < b.id; });
  return all;
}

void emitVariant(mlir::ModuleOp module, const DescribedKernel &kernel, const VariantInfo &variant,
                 llvm::StringRef symbol, const codegen::CpuTier &tier) {
  KernelBuilder builder(module, symbol, tier);
  exec::KernelOp op = kernel.op;
  findKind(op.getKind())->emit(builder, op, variant);
  builder.finish();
}

} // namespace llmc::cpu
