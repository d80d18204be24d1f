// The quantization schemes of runtime/packing under the compile side's names. Packing is shared with the runtime, which
// packs the made-up weights of an artifact that has none; layouts are in docs/kernels.md.
#pragma once

#include "runtime/packing/scheme.h"
#include "llvm/ADT/StringRef.h"

namespace llmc {

namespace packing = llmrt::packing;
using packing::PackStatus;
using packing::Scheme;
using packing::schemes;

// Null for "none" and for names that are not known.
inline const Scheme *findScheme(llvm::StringRef name) { return packing::find_scheme(name); }

} // namespace llmc
