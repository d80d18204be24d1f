// The golden vectors of a program's kernels as the artifact holds them.
#pragma once

#include "codegen/golden/Golden.h"
#include "runtime/schema/artifact_generated.h"

#include <vector>

namespace llmc {

struct GoldenEntry {
  uint32_t kernel = 0; // of the module's exec.kernel ops
  std::vector<int64_t> scalars;
  std::vector<llmrt::schema::GoldenBytes> operands;
  std::vector<llmrt::schema::GoldenResult> results;
};

struct GoldenTable {
  std::vector<GoldenEntry> entries;
  std::vector<char> bytes; // what the entries point into; equal ones lie there once
};

// Of all kernels of the module, in their order; `ofGpus` are those that GPUs have.
GoldenTable makeGoldenTable(mlir::ModuleOp module, llvm::ArrayRef<exec::KernelOp> ofGpus);

} // namespace llmc
