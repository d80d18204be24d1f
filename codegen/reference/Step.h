// The state of one evaluation; the operations' files add their meaning to it.
#pragma once

#include "codegen/reference/Interpreter.h"
#include "dialects/llm/Llm.h"

#include "llvm/ADT/DenseMap.h"

#include <map>

namespace llmc::reference {

// A weight as kernels see it: rows x columns (a vector has one column), rounded; before interleaving, which only
// changes where its rows lie.
struct Weight {
  int64_t rows = 0, columns = 1;
  Values values;
};

class Step {
public:
  Step(ReadRows readRows, llvm::ArrayRef<std::vector<int32_t>> sequences, const EvaluateOptions &options);

  llvm::Error run(mlir::Operation &op);
  Matrix take(mlir::Value value) { return std::move(values_[value]); }

private:
  // RunRows.cpp
  llvm::Expected<Matrix> embed(llm::EmbedOp op);
  llvm::Expected<Matrix> selectRows(llm::SelectRowsOp op);
  llvm::Expected<Matrix> norm(llm::NormOp op);
  Matrix slice(llm::SliceOp op);
  Matrix map(mlir::Value input, llvm::function_ref<double(double)> function);
  Matrix zip(mlir::Value left, mlir::Value right, llvm::function_ref<double(double, double)> function);
  // RunLinear.cpp
  llvm::Expected<Matrix> linear(llm::LinearOp op);
  llvm::Expected<Values> linearInput(llm::LinearOp op);
  // RunAttention.cpp
  Matrix rope(llm::RopeOp op);
  template <typename Op> llvm::Expected<Matrix> attention(Op op, Input key, Input value);
  llvm::Expected<Matrix> attention(llm::AttentionOp op);
  llvm::Expected<Matrix> pagedAttention(llm::PagedAttentionOp op);
  llvm::Error cacheWrite(llm::CacheWriteOp op);
  // Weights.cpp. Weights live as long as the step; null `name`: an empty one.
  llvm::Expected<const Weight *> weight(mlir::Operation *user, mlir::FlatSymbolRefAttr name, bool isPositions = false);
  llvm::Expected<Weight> readWeight(llm::WeightOp op, bool rounded);

  const Matrix &get(mlir::Value value) { return values_[value]; }
  llvm::Expected<Matrix> evaluate(mlir::Operation &op);

  struct Cache {
    Values key, value;
  };
  ReadRows readRows_;
  EvaluateOptions options_;
  std::vector<int32_t> tokens_;               // of all sequences, one after the other
  std::vector<int64_t> positions_, starts_;   // of the rows; of the sequences, and the end
  llvm::DenseMap<mlir::Value, Matrix> values_;
  std::map<mlir::Operation *, Weight> weights_;
  std::map<std::pair<int64_t, int64_t>, Cache> caches_; // by group and slot
};

// Some error about an operation.
llvm::Error failure(mlir::Operation *op, const llvm::Twine &what);
Element elementOf(mlir::Type type);

} // namespace llmc::reference
