#include "codegen/Codegen.h"

#include "mlir/IR/AsmState.h"
#include "llvm/Support/SHA256.h"

namespace llmc::codegen {

// Raised whenever an emitter changes what it makes of the same kernel.
static constexpr const char *kVersion = "llmc-kernels-9";

std::array<uint8_t, 16> kernelId(exec::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << kVersion << '\n' << kernel.getKind() << '\n' << kernel.getConfig() << '\n';
  mlir::OpPrintingFlags flags;
  flags.useLocalScope().printGenericOpForm().enableDebugInfo(false);
  for (mlir::Block &block : kernel.getEpilogue()) {
    stream << block.getNumArguments() << '\n';
    for (mlir::Operation &op : block) {
      op.print(stream, flags);
      stream << '\n';
    }
  }
  llvm::SHA256 hash;
  hash.update(text);
  auto digest = hash.final();
  std::array<uint8_t, 16> id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

} // namespace llmc::codegen
