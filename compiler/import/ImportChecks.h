// What fuzzers and the mutation test do with bytes that may be anything: read as much of them as an import would.
#pragma once

#include "compiler/import/Config.h"
#include "compiler/import/Json.h"
#include "compiler/import/Safetensors.h"

#include <algorithm>

namespace llmc {

// True if the bytes were accepted. `file` must be exactly the bytes, so that a sanitizer sees a read behind them.
inline bool importSafetensorsBytes(llvm::StringRef file, std::string *message = nullptr) {
  auto source = readSafetensors(file, "input");
  if (!source) {
    std::string text = llvm::toString(source.takeError());
    if (message) *message = std::move(text);
    return false;
  }
  for (const std::string &name : (*source)->names()) {
    const TensorInfo &tensor = *(*source)->find(name);
    int64_t values = 1;
    for (int64_t size : tensor.shape)
      if (__builtin_mul_overflow(values, size, &values)) values = 0;
    if (values == 0) continue;
    int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0], columns = values / rows;
    std::vector<float> row(columns), column(rows);
    llvm::cantFail((*source)->readRows(tensor, rows - 1, 1, false, row));
    if (tensor.shape.size() >= 2) llvm::cantFail((*source)->readRows(tensor, columns - 1, 1, true, column));
  }
  return true;
}

inline bool importConfigBytes(llvm::StringRef text) {
  auto value = parseJsonObject(text, "input");
  if (!value) {
    llvm::consumeError(value.takeError());
    return false;
  }
  Checkpoint checkpoint;
  checkpoint.tokenizerConfig = *value;
  llvm::consumeError(takeChatTemplates(*value, "input", checkpoint));
  (void)specialTokens(checkpoint);
  if (auto index = readSafetensorsIndex(*value, "input"); !index) llvm::consumeError(index.takeError());
  return true;
}

} // namespace llmc
