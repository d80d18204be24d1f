// GPU kernels, written once: what a target's lowering starts from. Kinds, operands and scalars are docs/kernels.md's;
// extents and constraints are those of the CPU's kernels, for they say what a kind may touch.
#pragma once

#include "codegen/cpu/SegmentTable.h"
#include "codegen/gpu/GpuBuilder.h"

namespace llmc::gpu {

struct KindEmitter {
  const char *kind;
  // Sets items, grain (work items of one workgroup), variants and further constraints. The rest is there.
  void (*describe)(exec::KernelOp kernel, MatrixUnits matrixUnits, cpu::KernelInfo &info);
  int64_t threads; // of a workgroup
  void (*emit)(GpuBuilder &builder, exec::KernelOp kernel, const cpu::VariantInfo &variant);
};

// Why no GPU kernel can be made of this one, for people; empty if one can.
std::string refusal(exec::KernelOp kernel);

// Everything about the kernel but its code, for chips with these instructions for matrix products: what others would be
// slow at is left out there, and another variant has its rows. Variants for matrix units begin at the same row counts,
// whatever units they are. refusal() must be empty.
cpu::KernelInfo describe(exec::KernelOp kernel, MatrixUnits matrixUnits);

// Emits a variant of the kernel as gpu.func @symbol, alone in a gpu.module at the end of `module`; returns that. The
// threads of a workgroup are its attribute known_block_size. `features`: LLMRT_FEATURE_* that it may use; `matrixUnits`: as
// for `info`.
mlir::gpu::GPUModuleOp emitKernel(mlir::ModuleOp module, exec::KernelOp kernel, const cpu::KernelInfo &info,
                                  size_t variant, llvm::StringRef symbol, uint64_t features,
                                  MatrixUnits matrixUnits);

} // namespace llmc::gpu
