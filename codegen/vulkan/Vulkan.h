// GPU kernels to SPIR-V modules for Vulkan.
#pragma once

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace llmc::vulkan {

// Lowers the one kernel of `module` to a SPIR-V 1.3 module of the capability Shader alone, with an entry point of the
// function's name; binding i of set 0 is the kernel's argument i. Floating-point arithmetic is never contracted.
llvm::Expected<llvm::SmallVector<uint32_t, 0>> lowerToSpirv(mlir::gpu::GPUModuleOp module);

} // namespace llmc::vulkan
