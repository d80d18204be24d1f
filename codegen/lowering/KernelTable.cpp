#include "codegen/lowering/KernelTable.h"

#include "mlir/IR/IRMapping.h"

namespace llmc {

llvm::StringRef KernelTable::nameOf(llvm::StringRef symbol) { return symbol.split('.').first; }

// The kernel without its name and place: attributes of a dictionary are sorted and values are numbered in order, so
// equal kernels have equal text.
static std::string canonicalText(exec::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  mlir::OpPrintingFlags flags;
  flags.printGenericOpForm().useLocalScope();
  kernel->print(stream, flags);
  return text;
}

void KernelTable::add(exec::KernelOp kernel) {
  std::string symbol = kernel.getSymName().str();
  kernel.setSymName("k");
  byText[canonicalText(kernel)] = mlir::FlatSymbolRefAttr::get(kernel.getContext(), symbol);
  kernel.setSymName(symbol);
  ++names[nameOf(symbol)];
}

mlir::FlatSymbolRefAttr KernelTable::get(llvm::StringRef name, llvm::StringRef kind, mlir::DictionaryAttr config,
                                         mlir::Region *epilogue) {
  auto kernel = exec::KernelOp::create(builder, builder.getUnknownLoc(), "k", kind, config);
  if (epilogue && !epilogue->empty()) {
    mlir::IRMapping mapping;
    epilogue->cloneInto(&kernel.getEpilogue(), mapping);
  }
  auto [entry, isNew] = byText.try_emplace(canonicalText(kernel));
  if (!isNew) {
    kernel.erase();
    return entry->second;
  }
  int taken = names[name]++;
  std::string symbol = taken == 0 ? name.str() : (name + "." + llvm::Twine(taken)).str();
  kernel.setSymName(symbol);
  entry->second = mlir::FlatSymbolRefAttr::get(kernel.getContext(), symbol);
  return entry->second;
}

} // namespace llmc
