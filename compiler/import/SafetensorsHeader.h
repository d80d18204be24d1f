// The header of a safetensors file: https://github.com/huggingface/safetensors, "Format". Strict like the reference
// reader: the tensors' bytes follow each other without holes or overlaps and fill the file.
#pragma once

#include "compiler/import/Checkpoint.h"

namespace llmc {

struct SafetensorsEntry {
  std::string name;
  std::string dtype; // "F32", ...; any name, for a tensor that is not needed may have any type
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; // bytes, from the file's start
};

// `file` is the whole file. Checked: lengths, nesting, duplicate names, offsets, and for the types whose size is known
// the shape against the bytes. `what` names the file in errors. Entries come in the order of their bytes.
llvm::Expected<std::vector<SafetensorsEntry>> parseSafetensorsHeader(llvm::StringRef file, llvm::StringRef what);

} // namespace llmc
