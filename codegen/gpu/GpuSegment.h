// All kernels of a program as one code segment of a GPU: a module for each variant, with the table in front.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/gpu/MatrixUnits.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace llmc::gpu {

// What a segment says of itself (runtime/abi/kernel.h).
struct SegmentKind {
  std::string target, tier;
  uint32_t architecture; // llmrt_architecture
  uint64_t features = 0; // LLMRT_FEATURE_*: what its modules need, and so may use
  MatrixUnits matrixUnits = MatrixUnits::None; // of its chips
};

// The bytes of the module with the one kernel "main".
using LowerModule = llvm::function_ref<llvm::Expected<std::vector<char>>(mlir::gpu::GPUModuleOp module)>;

// Emits and lowers all variants of `kernels`. Modules begin at multiples of 16 bytes. Same input, same bytes.
llvm::Expected<codegen::CodeSegment> buildSegment(llvm::ArrayRef<exec::KernelOp> kernels, const SegmentKind &kind,
                                                  LowerModule lower);

} // namespace llmc::gpu
