// GPU kernels to SPIR-V modules for Vulkan.
#pragma once

#include "codegen/gpu/GpuSegment.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace llmc::vulkan {

// Lowers the one kernel of `module`, emitted for `features` (LLMRT_FEATURE_*), to a SPIR-V 1.3 module with an entry point
// of the function's name; binding i of set 0 is the kernel's argument i. Its capabilities are Shader and those of the
// features that it uses. Floating-point arithmetic is never contracted. The bytes are the module's words.
llvm::Expected<std::vector<char>> lowerToBytes(mlir::gpu::GPUModuleOp module, uint64_t features);

gpu::SegmentKind segmentKind(const codegen::VulkanTier &tier);

} // namespace llmc::vulkan
