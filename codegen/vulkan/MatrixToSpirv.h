// chip.mma as products of KHR cooperative matrices.
#pragma once

#include "codegen/gpu/ops/Chip.h"

namespace mlir::spirv {
class ModuleOp;
} // namespace mlir::spirv

namespace llmc::vulkan {

// A product of bf16, which a device with LLMRT_FEATURE_MATRIX_BF16 has an instruction for.
bool isMatrixProduct(mlir::Operation *op);

// Words of a workgroup of `threads` that the products in `root` go through; 0 without any.
int64_t matrixWords(mlir::Operation *root, int64_t threads);

// Replaces the products in a module that has been converted but for them. A subgroup of 32 threads does those of a warp,
// whichever threads it has: it takes the matrices from the workgroup's memory, and leaves the result there. How its threads
// hold a matrix is the device's own business.
//
// The instructions have matrices of 16 x 16 alone (16 x 8 is not on every chip), so a product has 8 columns that nobody asked
// for: of what lies behind B in the memory. No column depends on another.
//
// Cooperative matrices demand Vulkan's memory model (SPV_KHR_cooperative_matrix, Dependencies), so the module is brought
// under that: what is loaded and stored is for other threads to see, and barriers make it so.
void lowerMatrices(mlir::spirv::ModuleOp module, int64_t threads);

} // namespace llmc::vulkan
