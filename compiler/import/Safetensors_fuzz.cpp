// A safetensors file, and every tensor in it read both ways.
#include "compiler/import/ImportChecks.h"

#include <cstddef>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llmc::importSafetensorsBytes(llvm::StringRef(reinterpret_cast<const char *>(data), size));
  return 0;
}
