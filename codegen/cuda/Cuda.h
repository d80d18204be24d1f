// GPU kernels to PTX and, by NVIDIA's assembler, to the machine code of a chip.
#pragma once

#include "codegen/gpu/GpuSegment.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace llmc::cuda {

gpu::SegmentKind segmentKind(const codegen::CudaTier &tier);

// Lowers the one kernel of `module` to NVVM and LLVM IR. Argument i of the function is a pointer to the kernel's
// argument i. Indices have 32 bits, as in SPIR-V. Chip operations become instructions where all chips that `virtualChip`
// ("sm_80") stands for have them.
llvm::Expected<std::unique_ptr<llvm::Module>> lowerToNvvm(mlir::gpu::GPUModuleOp module, llvm::StringRef virtualChip,
                                                          llvm::LLVMContext &context);
// --lower-gpu-to-nvvm of llmc-opt: the same, as far as NVVM.
std::unique_ptr<mlir::Pass> createLowerGpuToNvvmPass();

// The module as PTX for chips from `virtualChip` ("sm_75") on. A product and a sum are fused only where the source
// says so; divisions and roots are rounded to nearest, denormals are kept.
llvm::Expected<std::string> emitPtx(llvm::Module &module, llvm::StringRef virtualChip);

// The cubin that ptxas at the path `assembler` makes of the text for `chip` ("sm_90a").
llvm::Expected<std::vector<char>> assemble(llvm::StringRef assembler, llvm::StringRef ptx, llvm::StringRef chip);

} // namespace llmc::cuda
