// A JSON file as a config, a tokenizer config and a safetensors index.
#include "compiler/import/ImportChecks.h"

#include <cstddef>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llmc::importConfigBytes(llvm::StringRef(reinterpret_cast<const char *>(data), size));
  return 0;
}
