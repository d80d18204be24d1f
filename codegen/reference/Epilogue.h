// The scalar region after a linear (or in a map kernel), made ready to run once for each element.
#pragma once

#include "mlir/IR/Region.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

namespace llmc::reference {

class Epilogue {
public:
  // An empty region gives its first argument back. Operations: see isEpilogueOp; what this does not know is an error.
  static llvm::Expected<Epilogue> make(mlir::Region &region);

  // One value for each argument of the block.
  double run(llvm::ArrayRef<double> arguments);

private:
  using Function = double (*)(double, double, double, int);
  struct Instruction {
    Function function;
    unsigned operands[3] = {0, 0, 0}; // slots
    int immediate = 0;                // which activation, which comparison
    double constant = 0;              // where there is no function
  };
  static llvm::Expected<Instruction> decode(mlir::Operation &op);

  unsigned arguments_ = 1, result_ = 0;
  llvm::SmallVector<Instruction> instructions_; // instruction i writes slot arguments_ + i
  llvm::SmallVector<double> slots_;
};

} // namespace llmc::reference
