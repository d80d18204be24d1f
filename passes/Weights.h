// Weights as passes see them: who uses them, how rows of them are put together or taken apart.
#pragma once

#include "dialects/llm/Llm.h"
#include "mlir/IR/BuiltinOps.h"

namespace llmc {

// The weights of a module, with the number of places that name each. Weights made here are inserted beside those they
// come from; weights whose last use a pass removed are erased at the end.
class Weights {
public:
  explicit Weights(mlir::ModuleOp module);

  llm::WeightOp lookup(mlir::FlatSymbolRefAttr name) { return table.lookup<llm::WeightOp>(name.getAttr()); }
  unsigned countUses(mlir::FlatSymbolRefAttr name) const { return uses.lookup(name.getAttr()); }

  // A weight of the rows of all `parts`, in order. A part that is null stands for `length` zeros. One not null at
  // least; all not null are alike but for their rows. The result is interleaved by `interleave`.
  struct Part {
    llm::WeightOp weight;
    int64_t length = 0;
  };
  llm::WeightOp concatenate(llvm::ArrayRef<Part> parts, int64_t interleave);
  // Rows [first, first + count) of a weight that is not interleaved.
  llm::WeightOp slice(llm::WeightOp weight, int64_t first, int64_t count);

  // Call when an op stops naming a weight; a weight without uses is erased by eraseUnused.
  void drop(mlir::FlatSymbolRefAttr name);
  void use(mlir::FlatSymbolRefAttr name) { ++uses[name.getAttr()]; }
  void eraseUnused();

private:
  llm::WeightOp create(llm::WeightOp model, llvm::StringRef name, int64_t rows,
                       llvm::ArrayRef<mlir::Attribute> sources, int64_t interleave);

  mlir::SymbolTable table;
  llvm::DenseMap<mlir::StringAttr, unsigned> uses;
  llvm::SmallVector<mlir::StringAttr> dropped;
};

// "l0.q.weight", "l0.k.weight" -> "l0.q_k.weight".
std::string joinNames(llvm::ArrayRef<llvm::StringRef> names);

} // namespace llmc
