// Makes llm operations for a family and remembers the checkpoint's tensors that they need.
#pragma once

#include "dialects/llm/Llm.h"
#include "models/Family.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace llmc::models {

// What the module's attributes say about the model (models/Registry.h).
struct ModelFacts {
  int64_t vocabulary = 0, maxPositions = 0, layers = 0;
  bool positionsAreBounded = false; // learned positions: there is no row beyond maxPositions
  bool usesRopeLength = false;
  double initializerRange = 0.02;
  std::string dtype = "float32";
};

// The IR is unfused: an operation for each step of the model's own code. Weights are named after their place ("l0.q"),
// rows are tensor<?xNxf32>, matrices [outputs, inputs].
class ModelBuilder {
public:
  // Opens a module with an empty @step(!llm.batch).
  ModelBuilder(mlir::MLIRContext &context, const ModelFacts &facts);

  // A tensor of the checkpoint as a weight of its own. `transposed`: stored [columns, rows] (GPT-2's Conv1D).
  mlir::FlatSymbolRefAttr matrix(const llvm::Twine &symbol, const llvm::Twine &tensor, int64_t rows, int64_t columns,
                                 bool transposed = false);
  mlir::FlatSymbolRefAttr vector(const llvm::Twine &symbol, const llvm::Twine &tensor, int64_t size, TensorRole role);

  mlir::Value embed(mlir::FlatSymbolRefAttr table, int64_t width, mlir::FlatSymbolRefAttr positions = {});
  // `group`: columns normed together, 0 for all. Bias makes it a layer norm.
  mlir::Value norm(mlir::Value x, mlir::FlatSymbolRefAttr weight, mlir::FlatSymbolRefAttr bias, double epsilon,
                   int64_t group = 0);
  // x W^T, plus the bias as an epilogue where there is one.
  mlir::Value linear(mlir::Value x, mlir::FlatSymbolRefAttr weight, int64_t outputs, mlir::FlatSymbolRefAttr bias = {});
  mlir::Value slice(mlir::Value x, int64_t offset, int64_t width);
  mlir::Value rope(mlir::Value x, int64_t heads, llm::RopeAttr rope);
  mlir::Value activation(mlir::Value x, llm::ActivationKind kind);
  mlir::Value add(mlir::Value left, mlir::Value right);
  mlir::Value mul(mlir::Value left, mlir::Value right);
  // The rows whose logits, or whose hidden states, are wanted.
  mlir::Value selectRows(mlir::Value x, bool hidden = false);

  struct Attention {
    int64_t layer, heads, kvHeads, headDim;
    double scale;
    int64_t window; // 0: all keys
  };
  mlir::Value attention(mlir::Value query, mlir::Value key, mlir::Value value, const Attention &attention);

  // Closes @step with the logits and the hidden states (what Hugging Face calls last_hidden_state: the final norm's
  // output) and hands the module over.
  ImportedModel finish(mlir::Value logits, mlir::Value hidden);

  // Where the operations that follow come from ("layers.0"), for diagnostics.
  void enter(const llvm::Twine &place);
  mlir::MLIRContext &context() { return context_; }

private:
  mlir::FlatSymbolRefAttr weight(const llvm::Twine &symbol, llvm::StringRef tensor, mlir::RankedTensorType type,
                                 bool transposed);

  mlir::MLIRContext &context_;
  ModelFacts facts_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  mlir::func::FuncOp step_;
  std::vector<TensorSpec> tensors_;
  mlir::OpBuilder builder_; // at the end of @step
  mlir::OpBuilder weights_; // before @step
  mlir::Type element_;
  mlir::Value batch_;
  mlir::Location location_;
};

} // namespace llmc::models
