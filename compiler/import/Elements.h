// The element types that a compile reads and writes, little-endian in files.
#pragma once

#include "compiler/import/Checkpoint.h"

namespace llmc {

int64_t elementBytes(ElementType element);
const char *safetensorsName(ElementType element); // "F32", "F16", "BF16"
std::optional<ElementType> elementFromSafetensors(llvm::StringRef name);
// "float32", "float16", "bfloat16" as config.json spells them.
std::optional<ElementType> elementFromConfig(llvm::StringRef name);

// out.size() elements, which need no alignment.
void decodeElements(ElementType element, const char *from, llvm::MutableArrayRef<float> out);
// Rounded to nearest even; values.size() elements.
void encodeElements(ElementType element, llvm::ArrayRef<float> values, char *to);
// What encoding and decoding leaves of the values.
void roundElements(ElementType element, llvm::MutableArrayRef<float> values);

} // namespace llmc
