// Kernel identity: equal kernels exist once however many layers use them.
#pragma once

#include "dialects/exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace llmc {

class KernelTable {
public:
  // New kernels are added before `anchor`.
  explicit KernelTable(mlir::Operation *anchor) : builder(anchor) {}

  // A kernel that is in the module already.
  void add(exec::KernelOp kernel);

  // The kernel of this kind, configuration and epilogue (null or empty: none; it is cloned). `name` is for people, and
  // gets a number when another kernel has it.
  mlir::FlatSymbolRefAttr get(llvm::StringRef name, llvm::StringRef kind, mlir::DictionaryAttr config,
                              mlir::Region *epilogue = nullptr);

  // The name that a kernel's symbol was made of.
  static llvm::StringRef nameOf(llvm::StringRef symbol);

private:
  mlir::OpBuilder builder;
  llvm::StringMap<mlir::FlatSymbolRefAttr> byText; // by canonical text
  llvm::StringMap<int> names;                      // how often each was taken
};

} // namespace llmc
