// Chip operations as NVIDIA's instructions.
#pragma once

#include "codegen/gpu/ops/Chip.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace llmc::cuda {

// All chips from `virtualChip` ("sm_80") on have the instruction for this chip operation: mma.sync of 16 x 8 x 16 and
// cp.async from sm_80 on, dp4a and shfl.sync everywhere.
bool hasInstruction(llvm::StringRef virtualChip, mlir::Operation *op);

void populateChipToNvvmPatterns(mlir::LLVMTypeConverter &types, mlir::RewritePatternSet &patterns);

} // namespace llmc::cuda
