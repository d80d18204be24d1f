// The chip dialect in C++: what differs between GPUs, and its plain lowering. Its meaning is in ChipOps.td.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/Pass.h"

#include "codegen/gpu/ops/ChipDialect.h.inc"
#include "codegen/gpu/ops/ChipEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "codegen/gpu/ops/ChipAttrs.h.inc"
#define GET_OP_CLASSES
#include "codegen/gpu/ops/ChipOps.h.inc"

namespace llmc::chip {

inline constexpr int64_t kWarp = 32; // threads
inline constexpr int64_t kWarpgroup = 4 * kWarp;
inline constexpr int64_t kWarpgroupWords = 8, kWarpgroupNumbers = 32; // of A and of D in a thread

// A product that begins with the numbers of another, which nobody else reads, is done with that where memory is exchanged:
// half the barriers, for which compilers take long. No more than two, for the memory's sake. Null: there is none.
MmaOp leaderOf(MmaOp op);
MmaOp followerOf(MmaOp op);
llvm::SmallVector<MmaOp> chainOf(MmaOp last);

// Replaces chip operations by gpu, scf, arith, math and memref on words of 32 bits: all but those that the target has,
// by `isFast`. Threads exchange values through the workgroup's memory: no subgroup is needed.
void lowerPlainly(mlir::gpu::GPUFuncOp function, llvm::function_ref<bool(mlir::Operation *)> isFast);

// --lower-chip-plain of llmc-opt.
std::unique_ptr<mlir::Pass> createLowerChipPlainPass();

} // namespace llmc::chip
