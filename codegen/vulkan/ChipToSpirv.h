// Chip operations as SPIR-V's instructions.
#pragma once

#include "codegen/gpu/ops/Chip.h"

namespace llmc::vulkan {

// The feature (LLMRT_FEATURE_*) that brings an instruction for this operation; 0: none does.
uint64_t featureFor(mlir::Operation *op);

// Replaces the function's chip operations: by an instruction those that a device with the features (LLMRT_FEATURE_*) has
// one for, by what every device has the others. Products of matrices that have one stay for lowerMatrices().
void lowerChip(mlir::gpu::GPUFuncOp function, uint64_t features);

} // namespace llmc::vulkan
