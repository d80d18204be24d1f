// Runs @step of a module of the llm dialect, at any phase before exec, in double precision. The oracle of tests: slow
// and plain.
#pragma once

#include "codegen/reference/Oracle.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

namespace llmc::reference {

// Rows [first, first + count) of the checkpoint's tensor `name` as float32, `out.size() / count` columns each;
// transposed as TensorSource::readRows does.
using ReadRows = llvm::function_ref<llvm::Error(llvm::StringRef name, int64_t first, int64_t count, bool transpose,
                                                llvm::MutableArrayRef<float> out)>;

struct Matrix {
  int64_t columns = 0;
  Values values;
  int64_t rows() const { return columns ? int64_t(values.size()) / columns : 0; }
};

struct EvaluateOptions {
  bool lastRowsOnly = false;             // logits of each sequence's last token alone
  std::vector<int64_t> ropeLengths = {}; // by sequence, for dynamic rope; empty: each sequence's own length
  unsigned result = 0;                   // of @step: the logits, or 1: the hidden states
};

// The logits (or hidden states) of all tokens of all sequences (or of the last ones), in order: what forward() gives for
// each sequence alone. Matrices are rounded to their element type or scheme, vectors are not (kernels hold them as f32); rows are
// not rounded but where the module says so (activations, cache element). Fails on a tensor that cannot be read, a
// token outside the vocabulary, and an operation that has no meaning here.
llvm::Expected<Matrix> evaluate(mlir::ModuleOp module, ReadRows readRows,
                                llvm::ArrayRef<std::vector<int32_t>> sequences, const EvaluateOptions &options = {});

} // namespace llmc::reference
