#include "compiler/import/Elements.h"
#include "runtime/packing/half.h"

#include "llvm/ADT/StringSwitch.h"

#include <bit>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "files are little-endian and are read as they lie");

namespace llmc {

using namespace llmrt::packing; // conversions of halves

int64_t elementBytes(ElementType element) { return element == ElementType::F32 ? 4 : 2; }

const char *safetensorsName(ElementType element) {
  return element == ElementType::F32 ? "F32" : element == ElementType::F16 ? "F16" : "BF16";
}

std::optional<ElementType> elementFromSafetensors(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<ElementType>>(name)
      .Case("F32", ElementType::F32)
      .Case("F16", ElementType::F16)
      .Case("BF16", ElementType::BF16)
      .Default(std::nullopt);
}

std::optional<ElementType> elementFromConfig(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<ElementType>>(name)
      .Case("float32", ElementType::F32)
      .Case("float16", ElementType::F16)
      .Case("bfloat16", ElementType::BF16)
      .Default(std::nullopt);
}

void decodeElements(ElementType element, const char *from, llvm::MutableArrayRef<float> out) {
  float *to = out.data();
  size_t count = out.size();
  switch (element) {
  case ElementType::F32:
    if (count) std::memcpy(to, from, count * sizeof(float));
    return;
  case ElementType::F16:
    for (size_t i = 0; i < count; ++i) to[i] = f16_to_f32(load_16(from + 2 * i));
    return;
  case ElementType::BF16:
    for (size_t i = 0; i < count; ++i) to[i] = bf16_to_f32(load_16(from + 2 * i));
    return;
  }
}

void encodeElements(ElementType element, llvm::ArrayRef<float> values, char *to) {
  const float *from = values.data();
  size_t count = values.size();
  switch (element) {
  case ElementType::F32:
    if (count) std::memcpy(to, from, count * sizeof(float));
    return;
  case ElementType::F16:
    for (size_t i = 0; i < count; ++i) store_16(f32_to_f16(from[i]), to + 2 * i);
    return;
  case ElementType::BF16:
    for (size_t i = 0; i < count; ++i) store_16(f32_to_bf16(from[i]), to + 2 * i);
    return;
  }
}

void roundElements(ElementType element, llvm::MutableArrayRef<float> values) {
  if (element == ElementType::F16)
    for (float &value : values) value = f16_to_f32(f32_to_f16(value));
  else if (element == ElementType::BF16)
    for (float &value : values) value = bf16_to_f32(f32_to_bf16(value));
}

} // namespace llmc
