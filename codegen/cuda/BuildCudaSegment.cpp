// All kernels of a program as PTX or as cubins.
#include "codegen/cuda/ChipToNvvm.h"
#include "codegen/cuda/Cuda.h"
#include "codegen/gpu/GpuSegment.h"
#include "codegen/gpu/ops/Chip.h"
#include "runtime/abi/kernel.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

namespace llmc::codegen {

using namespace mlir;

void loadCudaDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, cf::ControlFlowDialect, chip::ChipDialect, mlir::gpu::GPUDialect, LLVM::LLVMDialect,
                      math::MathDialect, memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  registerGPUDialectTranslation(context);
  registerNVVMDialectTranslation(context);
}

static llvm::Expected<std::vector<char>> lower(mlir::gpu::GPUModuleOp module, const CudaTier &tier,
                                               llvm::StringRef assembler) {
  llvm::LLVMContext context;
  auto code = cuda::lowerToNvvm(module, tier.virtualChip, context);
  if (!code) return code.takeError();
  auto ptx = cuda::emitPtx(**code, tier.virtualChip);
  if (!ptx) return ptx.takeError();
  if (!tier.isPtx()) return cuda::assemble(assembler, *ptx, tier.chip);
  return std::vector<char>(ptx->c_str(), ptx->c_str() + ptx->size() + 1); // the driver wants the final zero
}

llvm::Expected<CodeSegment> buildCudaSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CudaTier &tier,
                                             llvm::StringRef assembler) {
  return gpu::buildSegment(kernels, cuda::segmentKind(tier),
                           [&](mlir::gpu::GPUModuleOp module) { return lower(module, tier, assembler); });
}

} // namespace llmc::codegen

llmc::gpu::SegmentKind llmc::cuda::segmentKind(const codegen::CudaTier &tier) {
  uint32_t architecture = tier.isPtx() ? LLMRT_ARCH_PTX : LLMRT_ARCH_CUBIN;
  return {"cuda", tier.name, architecture, /*features=*/0, matrixUnits(tier.virtualChip)};
}
