// Files that programs beside us read.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llmc::codegen {

// Writes `content` to a new file of the system's folder for temporary ones, whose name ends in .suffix, and returns its
// path. The caller removes it.
llvm::Expected<std::string> writeTemporary(llvm::StringRef suffix, llvm::StringRef content);

} // namespace llmc::codegen
