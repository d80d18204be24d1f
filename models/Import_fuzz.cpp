// Bytes as a config.json, up to the end of the import.
#include "models/Registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static mlir::MLIRContext *context = new mlir::MLIRContext(mlir::MLIRContext::Threading::DISABLED);
  nlohmann::json config = nlohmann::json::parse(data, data + size, nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded())
    return 0;
  auto model = llmc::models::importModel(*context, config);
  if (!model)
    llvm::consumeError(model.takeError());
  return 0;
}
