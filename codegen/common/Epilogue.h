// The epilogue region of a linear or a map, on any target.
#pragma once

#include "codegen/common/NumberBuilder.h"

#include "mlir/IR/Region.h"

namespace llmc::codegen {

// What an epilogue reads beside its accumulators; numbers of f32.
struct EpilogueInputs {
  Values accumulators;
  Values rows;
  Values vectors; // two each in a gated linear
};
// The region's scalar operations, each on a whole number; the accumulator itself where there is no region.
Value emitEpilogue(NumberBuilder &k, mlir::Region &region, const EpilogueInputs &inputs);

} // namespace llmc::codegen
