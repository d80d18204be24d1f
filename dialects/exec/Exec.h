// The exec dialect in C++. Its meaning is in ExecOps.td; kernels are described in docs/kernels.md.
#pragma once

#include "dialects/exec/Size.h"
#include "dialects/llm/Llm.h"
#include "mlir/IR/BuiltinOps.h"

#include "dialects/exec/ExecDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/exec/ExecAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/exec/ExecOps.h.inc"

namespace llmc::exec {

// Registers exec, llm and the dialects they are written with.
void registerDialects(mlir::DialectRegistry &registry);

// How a dispatch of a kernel must look: one name an operand and a scalar, as docs/kernels.md calls them.
struct KernelShape {
  llvm::SmallVector<std::string> operands;
  llvm::SmallVector<std::string> scalars;
};
// The kernel's configuration must be valid.
KernelShape getKernelShape(KernelOp kernel);

// The kernel has code for GPUs alone: CPUs leave out its dispatches, which come last in a program.
bool isForGpusAlone(KernelOp kernel);
// Those that the code for a target has, in the module's order: what the programs for it dispatch.
llvm::SmallVector<KernelOp> getKernelsFor(mlir::ModuleOp module, llvm::StringRef target);
// Of the kind top_k: columns of a row that a work item looks at, and the most that it may keep of them.
inline constexpr int64_t kTopKColumns = 2048, kTopKMost = 128;

// Names of the schema's Input enum, in its order: TokenIds, Positions, ...
llvm::ArrayRef<llvm::StringRef> getInputNames();

// Operands of a dispatch; `offset` in bytes.
OperandAttr bufferOperand(mlir::MLIRContext *context, llvm::StringRef name, const Size &offset = {});
OperandAttr weightOperand(mlir::MLIRContext *context, llvm::StringRef name, const Size &offset = {});
OperandAttr inputOperand(mlir::MLIRContext *context, llvm::StringRef input, int64_t group = 0);
OperandAttr cacheOperand(mlir::MLIRContext *context, llvm::StringRef name, int64_t group, const Size &offset = {});
ScalarAttr scalar(mlir::MLIRContext *context, int64_t value, Symbol symbol = Symbol::One);

} // namespace llmc::exec
