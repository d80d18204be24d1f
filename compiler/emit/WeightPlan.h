// Which bytes each weight becomes and where they lie in the weights segment.
#pragma once

#include "codegen/schemes/Scheme.h"
#include "dialects/llm/Llm.h"
#include "runtime/packing/pack_weight.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace llmc {

// A weight in one of the layouts of docs/kernels.md: "rows16", blocks of 16 rows one behind the other, or "vector".
struct PlannedWeight {
  mutable llm::WeightOp op;
  std::string name, element, layout;
  const Scheme *scheme = nullptr; // null: none
  int64_t rows = 0, columns = 0;  // logical; a vector has one row
  packing::WeightForm form;       // how it is packed
  int64_t blocks = 0, blockBytes = 0;
  uint64_t offset = 0, bytes = 0; // in the segment; offsets are multiples of 64
  bool isVector() const { return layout == "vector"; }
};

struct WeightPlan {
  std::vector<PlannedWeight> weights; // in the module's order
  uint64_t bytes = 0;                 // of the segment
};

// Errors name the weight: an unknown scheme or element, an interleave other than 16, rows too long to pack.
llvm::Expected<WeightPlan> planWeights(mlir::ModuleOp module);

} // namespace llmc
