// All kernels of a program as SPIR-V modules.
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

static llvm::Expected<std::vector<char>> lower(mlir::gpu::GPUModuleOp module) {
  auto words = vulkan::lowerToSpirv(module);
  if (!words) return words.takeError();
  const char *bytes = reinterpret_cast<const char *>(words->data());
  return std::vector<char>(bytes, bytes + words->size() * 4);
}

llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels) {
  return gpu::buildSegment(kernels, {"vulkan", "spirv", LLMRT_ARCH_SPIRV}, lower);
}

} // namespace llmc::codegen
