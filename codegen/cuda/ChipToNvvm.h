// Chip operations as NVIDIA's instructions.
#pragma once

#include "codegen/gpu/MatrixUnits.h"
#include "codegen/gpu/ops/Chip.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace llmc::cuda {

// What all chips that code for `virtualChip` ("sm_80") runs on have: mma.sync of 16 x 8 x 16, and cp.async, those from sm_80
// on; wgmma sm_90a, and no other.
gpu::MatrixUnits matrixUnits(llvm::StringRef virtualChip);
// They have the instruction for this chip operation; dp4a and shfl.sync are everywhere.
bool hasInstruction(llvm::StringRef virtualChip, mlir::Operation *op);

void populateChipToNvvmPatterns(mlir::LLVMTypeConverter &types, mlir::RewritePatternSet &patterns);

} // namespace llmc::cuda
