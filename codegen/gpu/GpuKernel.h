// GPU kernels, written once: what a target's lowering starts from. Kinds, operands and scalars are docs/kernels.md's;
// extents and constraints are those of the CPU's kernels, for they say what a kind may touch.
#pragma once

#include "codegen/cpu/SegmentTable.h"
#include "codegen/gpu/GpuBuilder.h"

namespace llmc::gpu {

struct KindEmitter {
  const char *kind;
  // Sets items, grain (work items of one workgroup), variants and further constraints. The rest is there.
  void (*describe)(exec::KernelOp kernel, bool matrixUnits, cpu::KernelInfo &info);
  int64_t threads; // of a workgroup
  void (*emit)(GpuBuilder &builder, exec::KernelOp kernel, const cpu::VariantInfo &variant);
};

// Why no GPU kernel can be made of this one, for people; empty if one can.
std::string refusal(exec::KernelOp kernel);

// Everything about the kernel but its code, for chips with instructions for matrix products or others: what those would
// be slow at is left out, and another variant has its rows. refusal() must be empty.
cpu::KernelInfo describe(exec::KernelOp kernel, bool matrixUnits);

// Emits a variant of the kernel as gpu.func @symbol, alone in a gpu.module at the end of `module`; returns that. The
// threads of a workgroup are its attribute known_block_size. `features`: LLMRT_FEATURE_* that it may use.
mlir::gpu::GPUModuleOp emitKernel(mlir::ModuleOp module, exec::KernelOp kernel, const cpu::KernelInfo &info,
                                  size_t variant, llvm::StringRef symbol, uint64_t features);

} // namespace llmc::gpu
