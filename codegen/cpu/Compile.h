// The three steps from kernels in MLIR to one relocation-free image.
#pragma once

#include "codegen/Codegen.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

#include <vector>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace llmc::cpu {

// Lowers a module of kernels to the LLVM dialect.
llvm::Error lowerToLlvm(mlir::ModuleOp module);

// Translates, optimises and compiles it to an object. A function that needs over 4 KB of stack is an error.
llvm::Expected<llvm::SmallVector<char, 0>> compileToObject(mlir::ModuleOp module, const codegen::CpuTier &tier);

// What other targets share of it: the back ends of LLVM, once; passes by name, with what they need around them.
void initializeTargets();
llvm::Error optimize(llvm::Module &module, llvm::TargetMachine &machine, const char *pipeline);

// The second half of it. Its context is of no use afterwards but to be destroyed.
llvm::Expected<llvm::SmallVector<char, 0>> compileModule(llvm::Module &code, const codegen::CpuTier &tier);

struct Image {
  struct Symbol {
    std::string name;
    uint64_t offset, bytes; // in `code`
  };
  std::vector<char> code; // instructions and constants; may be placed at any multiple of 4 KB
  std::vector<Symbol> symbols;
};

// Links the objects, in their order, so that nothing is left to relocate, import or look up; anything left is an error
// that names it.
llvm::Expected<Image> linkImage(llvm::ArrayRef<codegen::ObjectFile> objects, const codegen::CpuTier &tier);

} // namespace llmc::cpu
