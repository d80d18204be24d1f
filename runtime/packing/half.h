// float32 to and from IEEE half and bfloat16, rounded to nearest even. Plain integer and float arithmetic without
// branches, so that loops over arrays vectorise and every machine gives the same bits.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace llmrt::packing {

inline float f16_to_f32(uint16_t half) {
  uint32_t magnitude = uint32_t(half & 0x7fff) << 13;
  // As a float32 these bits are the half's value times 2^-112, denormals included.
  uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  bits |= magnitude >= 0x0f800000 ? 0x7f800000u : 0u; // infinity and NaN
  return std::bit_cast<float>(bits | uint32_t(half & 0x8000) << 16);
}

// Overflow gives infinity; a NaN stays one.
inline uint16_t f32_to_f16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
  // Below 2^-14 the half is a multiple of 2^-24, which is the last place of a float32 in [0.5, 1).
  uint32_t denormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  uint32_t half = magnitude < 0x38800000 ? denormal : normal;
  return uint16_t(sign | (magnitude >= 0x47800000 ? special : half));
}

inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

inline uint16_t f32_to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  uint32_t nan = bits >> 16 | 0x40;
  return uint16_t((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

// Files are little-endian, and so is every host that is built for.
static_assert(std::endian::native == std::endian::little);

inline uint16_t load_16(const char *from) {
  uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}
inline void store_16(uint16_t bits, char *to) { std::memcpy(to, &bits, sizeof bits); }

// What storing as "bf16" or "f16" leaves of the values; of "f32" all.
inline void round_elements(std::string_view element, std::span<float> values) {
  if (element == "f16")
    for (float &value : values)
      value = f16_to_f32(f32_to_f16(value));
  else if (element == "bf16")
    for (float &value : values)
      value = bf16_to_f32(f32_to_bf16(value));
}

} // namespace llmrt::packing
