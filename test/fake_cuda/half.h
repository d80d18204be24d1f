// Numbers of 16 bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ptx {

inline float from_bf16(uint32_t bits) { return std::bit_cast<float>(bits << 16); }
// To nearest even; of no number what the hardware gives.
inline uint32_t to_bf16(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline float from_f16(uint32_t bits) {
  int exponent = int(bits >> 10 & 31);
  float fraction = float(bits & 1023), sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return sign * (fraction ? NAN : INFINITY);
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

} // namespace ptx
