// Numbers of 16 bits as integers, for targets whose kernels have no half types.
#pragma once

#include "codegen/common/NumberBuilder.h"

namespace llmc::codegen {

// The f32 of the low 16 bits of a word; `element` is "bf16" or "f16".
Value halfToF32(NumberBuilder &k, llvm::StringRef element, Value bits);

// The bf16 that is nearest to an f32, the even one of two, as a word with the upper half zero; a NaN stays one.
Value f32ToBf16(NumberBuilder &k, Value value);

} // namespace llmc::codegen
