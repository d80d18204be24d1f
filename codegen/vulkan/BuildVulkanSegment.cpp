// All kernels of a program as SPIR-V modules of a tier.
#include "codegen/Codegen.h"
#include "codegen/gpu/GpuSegment.h"
#include "codegen/gpu/ops/Chip.h"
#include "codegen/vulkan/Vulkan.h"
#include "runtime/abi/kernel.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"

namespace llmc::codegen {

using namespace mlir;

void loadVulkanDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, chip::ChipDialect, mlir::gpu::GPUDialect, math::MathDialect, memref::MemRefDialect,
                      scf::SCFDialect, spirv::SPIRVDialect>();
}

llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels, const VulkanTier &tier) {
  return gpu::buildSegment(kernels, vulkan::segmentKind(tier), [&](mlir::gpu::GPUModuleOp module) {
    return vulkan::lowerToBytes(module, tier.features);
  });
}

} // namespace llmc::codegen
