// From the paged llm module to exec: one exec.program @step of dispatches over planned buffers. The kernels' kinds,
// operands, scalars and layouts are those of docs/kernels.md.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/LogicalResult.h"

#include <cstdint>
#include <memory>

namespace llmc {

// Equal weights (type, sources, interleave, scheme) become one; weights nobody names go.
void mergeEqualWeights(mlir::ModuleOp module);

struct LoweringOptions {
  // In steps of few rows a row's attention is split by segments where there are few heads.
  bool splitAttention = true;
  // The most bytes of a weight that a kernel of each of the program's targets can reach; 0: all of it. Of a larger one, a
  // linear or an embed is several dispatches, each of a run of its row blocks.
  int64_t maxOperandBytes = 0;
  // What happens to a layer's heads between their linear and attention is part of the linear, which GPUs have not built.
  bool headsInLinear = false;
  // GPUs leave the best of each row of logits beside the whole, which would be slow to read from them.
  bool candidates = false;
};

// Replaces func.func @step by exec.kernel, exec.buffer and exec.program ops (buffers without offsets). llm.weight and
// llm.cache_group ops stay; tables that llmc computes (rope frequencies) are added as llm.weight ops. What cannot be
// lowered is a diagnostic at the op.
llvm::LogicalResult lowerToExec(mlir::ModuleOp module, const LoweringOptions &options = {});

// Sets every buffer's offset. Buffers sized by the same symbols share a region of the arena, in which two that are
// never alive together may overlap; an offset is a multiple of 64 whatever the step's symbols are. Sets the program's
// attribute `arena`: bytes in all.
llvm::LogicalResult planMemory(mlir::ModuleOp module);

// Adds the program of `from`, lowered and planned from the same model for other targets, to `into`, which has one: named
// @step.gpu, with buffers of its own. Equal kernels and weights are there once. Cache groups must be the same. Each
// program should say which targets it is for.
llvm::LogicalResult mergePrograms(mlir::ModuleOp into, mlir::ModuleOp from);

// Bytes of a page of one layer in a cache group (docs/kernels.md, layout "page").
int64_t pageBytes(int64_t kvHeads, int64_t keyDim, int64_t valueDim, int64_t pageTokens, mlir::Type element);
// What kernels and artifacts call the type of keys and values: "f32", "bf16", "f16", "int8"; empty for another.
llvm::StringRef cacheElementName(mlir::Type type);

// --lower-to-exec and --plan-memory of llmc-opt.
std::unique_ptr<mlir::Pass> createLowerToExecPass();
std::unique_ptr<mlir::Pass> createPlanMemoryPass();

} // namespace llmc
