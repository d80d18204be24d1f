// The kernels of an artifact as a static archive with its header, for programs that may load no code (docs/kernels.md).
#pragma once

#include "codegen/Codegen.h"
#include "compiler/import/OutputFolder.h"

#include <optional>
#include <string>
#include <vector>

namespace llmc {

// The llmrt_kernel_library that the archive at `path` defines: "dir/my-model.a" -> "llmrt_kernels_my_model".
std::string librarySymbol(llvm::StringRef path);

// Writes the archive at `path` and the header beside it under temporary names; commit() renames both. Nothing where
// `path` is empty. The same objects give the same bytes.
llvm::Expected<std::optional<OutputFolder>> beginKernelLibrary(llvm::ArrayRef<codegen::ObjectFile> objects,
                                                               llvm::StringRef path);

} // namespace llmc
