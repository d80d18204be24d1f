// A kernel with what its emitter says of it: what segments and libraries of kernels are built from.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/cpu/KernelInfo.h"

#include <array>
#include <string>
#include <vector>

namespace llmc::cpu {

struct DescribedKernel {
  exec::KernelOp op;
  std::array<uint8_t, 16> id;
  KernelInfo info;

  std::string idText() const; // hexadecimal
};

// Sorted by id, so that nothing depends on the order of the program. An error names a kind that is not known.
llvm::Expected<std::vector<DescribedKernel>> describeKernels(llvm::ArrayRef<exec::KernelOp> kernels,
                                                             const codegen::CpuTier &tier);

// Adds the function of one variant to the module.
void emitVariant(mlir::ModuleOp module, const DescribedKernel &kernel, const VariantInfo &variant,
                 llvm::StringRef symbol, const codegen::CpuTier &tier);

} // namespace llmc::cpu
