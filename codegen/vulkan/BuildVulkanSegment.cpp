// All kernels of a program as SPIR-V modules of a tier.
#include "codegen/Codegen.h"
#include "codegen/gpu/GpuKernel.h"
#include "codegen/gpu/GpuSegment.h"
#include "codegen/vulkan/ChipToSpirv.h"
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

// The features that a kernel's variants have a use for, as they are emitted for `features`.
static uint64_t featuresUsed(exec::KernelOp kernel, uint64_t features) {
  uint64_t used = 0;
  cpu::KernelInfo info = gpu::describe(kernel, gpu::MatrixUnits::None);
  for (size_t variant = 0; variant < info.variants.size(); ++variant) {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(kernel.getContext()));
    gpu::emitKernel(*module, kernel, info, variant, "main", features, gpu::MatrixUnits::None);
    module->walk([&](Operation *op) {
      used |= vulkan::featureFor(op);
      if (auto function = dyn_cast<mlir::gpu::GPUFuncOp>(op))
        for (Type type : function.getBody().getArgumentTypes())
          if (cast<MemRefType>(type).getElementType().isInteger(16)) used |= LLMRT_FEATURE_STORAGE16;
    });
  }
  return used;
}

bool isOfUse(llvm::ArrayRef<exec::KernelOp> kernels, const VulkanTier &tier) {
  const VulkanTier *all = vulkanTiers().data(); // of which `tier` is one
  if (&tier == all) return true;
  uint64_t added = tier.features & ~(&tier - 1)->features;
  return llvm::any_of(kernels, [&](exec::KernelOp kernel) {
    return gpu::refusal(kernel).empty() && (featuresUsed(kernel, tier.features) & added);
  });
}

llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels, const VulkanTier &tier) {
  return gpu::buildSegment(kernels, vulkan::segmentKind(tier), [&](mlir::gpu::GPUModuleOp module) {
    return vulkan::lowerToBytes(module, tier.features);
  });
}

} // namespace llmc::codegen
