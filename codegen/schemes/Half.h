// float32 to and from IEEE half and bfloat16, rounded to nearest even. Plain integer and float arithmetic without
// branches, so that loops over arrays vectorise and every machine gives the same bits.
#pragma once

#include <bit>
#include <cstdint>

namespace llmc {

inline float f16ToF32(uint16_t half) {
  uint32_t magnitude = uint32_t(half & 0x7fff) << 13;
  // As a float32 these bits are the half's value times 2^-112, denormals included.
  uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  bits |= magnitude >= 0x0f800000 ? 0x7f800000u : 0u; // infinity and NaN
  return std::bit_cast<float>(bits | uint32_t(half & 0x8000) << 16);
}

// Overflow gives infinity; a NaN stays one.
inline uint16_t f32ToF16(float value) {
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

inline float bf16ToF32(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

inline uint16_t f32ToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  uint32_t nan = bits >> 16 | 0x40;
  return uint16_t((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

} // namespace llmc
