// Tensors of safetensors files, mapped read-only: pages come in as rows are read and cost no writable memory.
#pragma once

#include "compiler/import/Checkpoint.h"

namespace llmc {

// One file.
llvm::Expected<std::unique_ptr<TensorSource>> openSafetensors(llvm::StringRef path);

// model.safetensors.index.json: {"weight_map": {tensor: file}}, files beside the index. A tensor that is not in its
// file is an error, one that the index does not name is not there.
llvm::Expected<std::unique_ptr<TensorSource>> openSafetensorsIndex(llvm::StringRef path);

// A file that is in memory already, and outlives the source. For tests and fuzzers.
llvm::Expected<std::unique_ptr<TensorSource>> readSafetensors(llvm::StringRef file, llvm::StringRef what);

// The pairs (tensor, file) of an index, files checked to be plain names.
llvm::Expected<std::vector<std::pair<std::string, std::string>>> readSafetensorsIndex(const nlohmann::json &index,
                                                                                      llvm::StringRef what);

} // namespace llmc
