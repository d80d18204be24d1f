// From a checkpoint's numbers to the packed bytes of a weight, a few row blocks at a time.
#pragma once

#include "compiler/emit/WeightPlan.h"
#include "compiler/import/Checkpoint.h"

namespace llmc {

// Packs blocks [first, first + count) of a weight into `out` (count * blockBytes bytes). `rows` is scratch. Only reads
// the IR, so several threads may pack at once. Errors name the weight or the tensor.
llvm::Error packBlocks(const PlannedWeight &weight, const TensorSource &tensors, int64_t first, int64_t count,
                       std::vector<float> &rows, llvm::MutableArrayRef<char> out);

// The values of a weight that comes from no tensor.
llvm::Expected<std::vector<float>> computedValues(const PlannedWeight &weight);

} // namespace llmc
