// The search for a group's scale and offset: value = scale x (w + offset), w an integer from -8 to 7.
#pragma once

#include "runtime/packing/lanes.h"
#include "runtime/packing/scheme.h"

namespace llmrt::packing {

// Scale and offset of a group share 16 bits. Any 16 bits mean something.
//   bits 0 to 9    the scale as 5 bits of exponent e and 5 of mantissa m: (1 + m / 32) 2^(e - 20)
//   bits 10 to 15  the offset in steps of kOffsetStep, plus kNoOffset
constexpr float kOffsetStep = 0.125f;
constexpr int kNoOffset = 32; // so -4 to 3.875
constexpr float kLargestAffine = 28224.0f; // 7 times the largest scale
inline float affine_scale(uint16_t code) {
  uint32_t bits = (uint32_t(code & 0x3ff) + ((127 - 20) << 5)) << 18;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return scale;
}
inline float affine_offset(uint16_t code) { return kOffsetStep * float(int(code >> 10) - kNoOffset); }

// One group of 16 rows. `values` is [group][16]; fills `codes` with 16 scales and offsets and `w` with [group][16]
// integers such that the values are near. docs/quantization.md says how pairs are tried and which is kept.
PackStatus search_affine(const float *values, int group, uint16_t *codes, int8_t *w);

struct AffineVariant {
  const char *name;
  PackStatus (*search)(const float *values, int group, uint16_t *codes, int8_t *w);
};
// Those this machine can run, the best first. All give the same bits.
std::span<const AffineVariant> affine_variants();

} // namespace llmrt::packing
