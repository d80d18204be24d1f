// Errors for kernels: what a slip of the hand would change in what an emitter emits.
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace llmc::conformance {

// One change at one place: an operator swapped, a comparison or a bound or an index off by one, a constant changed.
struct Mutant {
  size_t operation = 0; // its number in the walk of the module
  size_t change = 0;    // of those that the operation offers
  std::string text;     // "arith.addf -> arith.subf"
};

// All of them, in the order of the walk. Left out by rule, for they change nothing that can be seen: what is only
// computed for a prefetch, and the comparison before a loop that runs zero times all the same.
std::vector<Mutant> mutantsOf(mlir::ModuleOp module);

// The operation that the mutant changes, as it was.
std::string placeOf(mlir::ModuleOp module, const Mutant &mutant);

// The module must be one that mutantsOf() was asked about, emitted anew.
void plant(mlir::ModuleOp module, const Mutant &mutant);

} // namespace llmc::conformance
