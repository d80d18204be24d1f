// What the fusion passes look for; the verifier of the phase looks for the same.
#pragma once

#include "passes/Weights.h"

namespace llmc {

// A linear without norm, gate and rows whose epilogue adds a bias at most.
bool isPlainLinear(llm::LinearOp linear);
// Its bias; null if it has none.
mlir::FlatSymbolRefAttr getBias(llm::LinearOp plain);

// The linear that an elementwise operation can be made part of: its result has no other reader. Of two, the later one.
// Null if there is none.
llm::LinearOp getFusableLinear(mlir::Operation *elementwise);

// The linear whose input the norm is and that alone reads it; null if there is none.
llm::LinearOp getOnlyLinear(llm::NormOp norm);

// The plain linears that read `value` and can become one, in their order; fewer than two: there is nothing to do.
llvm::SmallVector<llm::LinearOp> getSiblings(mlir::Value value, Weights &weights);

} // namespace llmc
