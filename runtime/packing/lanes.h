// What the searches for scales share: rows side by side, a row a lane, so that a sum runs over the columns in their
// order whatever the width of the machine's vectors. All of it is single IEEE additions, multiplications, divisions and
// comparisons in a fixed order (the project is built with -ffp-contract=off), so every width gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// Inlined into functions that are compiled once for each width of vectors.
#define LLMRT_INLINE static inline __attribute__((always_inline))

namespace llmrt::packing {

constexpr int kRows = 16; // of a row block
constexpr int kMaxGroup = 128;

// Vectors of `rows` rows.
template <int rows> struct LaneTypes {
  // Not `using`, in which GCC loses an attribute that depends on a parameter.
  typedef float Lanes __attribute__((vector_size(4 * rows)));
  typedef double Doubles __attribute__((vector_size(8 * rows)));
  typedef int32_t Bits __attribute__((vector_size(4 * rows)));
  typedef int8_t Bytes __attribute__((vector_size(rows)));
};

// Adding and subtracting it rounds to the nearest even integer; right for magnitudes below 2^22.
constexpr float kRoundToInteger = 12582912.0f;

template <typename Lanes> LLMRT_INLINE void load_lanes(const float *from, Lanes &to) {
  std::memcpy(&to, from, sizeof(Lanes));
}

template <typename Bits, typename Lanes>
LLMRT_INLINE void choose(const Bits &mask, const Lanes &yes, const Lanes &no, Lanes &out) {
  out = Lanes((Bits(yes) & mask) | (Bits(no) & ~mask));
}

template <typename Lanes> LLMRT_INLINE void clamp(float lowest, float highest, Lanes &x) {
  Lanes low = Lanes{} + lowest, high = Lanes{} + highest;
  choose(x < low, low, x, x);
  choose(x > high, high, x, x);
}

template <typename Lanes> LLMRT_INLINE void round_to_integer(Lanes &x) { x = (x + kRoundToInteger) - kRoundToInteger; }

// The widths that searches are compiled for; tables of them have a row each, in this order.
#if defined(__x86_64__)
#define LLMRT_AVX2 __attribute__((target("avx2")))
#define LLMRT_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#endif

// The first row that this machine can run; so it can all behind it.
inline size_t first_variant() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return 0;
  return __builtin_cpu_supports("avx2") ? 1 : 2;
#else
  return 0;
#endif
}

} // namespace llmrt::packing
