#include "runtime/packing/normal.h"

#include "runtime/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

// As in group_search.cpp: single IEEE operations in a fixed order, compiled once for each vector width.
#define LLMRT_INLINE static inline __attribute__((always_inline))

namespace llmrt::packing {
namespace {

static_assert(std::endian::native == std::endian::little, "a 64-bit word gives its low half first");

using Lanes = float __attribute__((vector_size(64)));
using Bits = int32_t __attribute__((vector_size(64)));
using Words = uint64_t __attribute__((vector_size(64)));

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr float kLog2 = 0x1.62e43p-1f;
// ln(1 + t) / t on [sqrt(1/2) - 1, sqrt(2) - 1], absolute error of the logarithm below 4e-8.
constexpr float kLogarithm[] = {0x1.fffffap-1f, -0x1.0000e0p-1f, 0x1.555cccp-2f, -0x1.ff2ad4p-3f,
                                0x1.970016p-3f, -0x1.62fd88p-3f, 0x1.504778p-3f, -0x1.9dc6bap-4f};
// z / x as a function of w = -ln(1 - x^2), where z is the normal quantile at (1 + x) / 2, for w in [0, 22.5]; relative
// error below 2e-7.
constexpr float kNumerator[] = {0x1.40d936p+0f, 0x1.d40420p-2f,  0x1.75f858p-4f,
                                0x1.8d883ap-7f, 0x1.0dbb9ep-10f, 0x1.e0b510p-16f};
constexpr float kDenominator[] = {1.0f,           0x1.a56026p-4f,  0x1.0d448ap-5f,
                                  0x1.39020ap-9f, 0x1.63ff9ap-13f, 0x1.04252cp-20f};

template <int count> LLMRT_INLINE void evaluate(const float (&coefficients)[count], const Lanes &x, Lanes &value) {
  value = Lanes{} + coefficients[count - 1];
  for (int i = count - 2; i >= 0; --i)
    value = value * x + coefficients[i];
}

LLMRT_INLINE void mix(Words &word) { // SplitMix64's output function
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  word = word ^ (word >> 31);
}

LLMRT_INLINE void natural_logarithm(const Lanes &y, Lanes &result) {
  Bits bits = Bits(y);
  Bits exponent = (bits - 0x3f3504f3) >> 23; // so that the mantissa lies in [sqrt(1/2), sqrt(2))
  Lanes t = Lanes(bits - (exponent << 23)) - 1.0f;
  Lanes quotient;
  evaluate(kLogarithm, t, quotient);
  result = quotient * t + __builtin_convertvector(exponent, Lanes) * kLog2;
}

LLMRT_INLINE void fill_body(uint64_t key, uint64_t first, int64_t blocks, float deviation, float *out) {
  constexpr Words kLane = {1, 2, 3, 4, 5, 6, 7, 8};
  Words counter = (kLane + first * (kNormalBlock / 2)) * kGolden + key;
  for (int64_t block = 0; block < blocks; ++block, counter += kGolden * (kNormalBlock / 2)) {
    Words words = counter;
    mix(words);
    Bits bits;
    std::memcpy(&bits, &words, sizeof(bits));
    // The tail's two-sided probability q = 1 - x: the upper end keeps its precision however far out it is.
    Lanes q = (__builtin_convertvector(bits & 0x7fffffff, Lanes) + 0.5f) * 0x1p-31f;
    Lanes logarithm, numerator, denominator;
    natural_logarithm(q * (2.0f - q), logarithm);
    Lanes w = -logarithm;
    evaluate(kNumerator, w, numerator);
    evaluate(kDenominator, w, denominator);
    Lanes z = (1.0f - q) * (numerator / denominator) * deviation;
    Bits value = Bits(z) ^ (bits & int32_t(0x80000000));
    std::memcpy(out + block * kNormalBlock, &value, sizeof(value));
  }
}

void fill_plain(uint64_t key, uint64_t first, int64_t blocks, float deviation, float *out) {
  fill_body(key, first, blocks, deviation, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void fill_avx2(uint64_t key, uint64_t first, int64_t blocks, float deviation,
                                               float *out) {
  fill_body(key, first, blocks, deviation, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void
fill_avx512(uint64_t key, uint64_t first, int64_t blocks, float deviation, float *out) {
  fill_body(key, first, blocks, deviation, out);
}
#endif

constexpr NormalVariant kVariants[] = {
#if defined(__x86_64__)
    {"avx512", fill_avx512},
    {"avx2", fill_avx2},
#endif
    {"plain", fill_plain},
};

} // namespace

std::span<const NormalVariant> normal_variants() {
  std::span<const NormalVariant> all(kVariants);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return all;
  return all.subspan(__builtin_cpu_supports("avx2") ? 1 : 2);
#else
  return all;
#endif
}

uint64_t stream_key(uint64_t seed, std::string_view name) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(&seed, 1)));
  hash.update(std::as_bytes(std::span(name)));
  uint64_t key;
  std::memcpy(&key, hash.finish().data(), sizeof key);
  return key;
}

void fill_normal(uint64_t key, uint64_t begin, float deviation, std::span<float> out) {
  auto fill = normal_variants().front().fill;
  float block[kNormalBlock];
  // Up to the next whole block, the whole blocks, and what is left.
  while (!out.empty()) {
    uint64_t skip = begin % kNormalBlock;
    int64_t whole = skip ? 0 : int64_t(out.size()) / kNormalBlock;
    size_t count = size_t(whole * kNormalBlock);
    if (whole) {
      fill(key, begin / kNormalBlock, whole, deviation, out.data());
    } else {
      fill(key, begin / kNormalBlock, 1, deviation, block);
      count = std::min<size_t>(kNormalBlock - skip, out.size());
      std::copy_n(block + skip, count, out.begin());
    }
    begin += count;
    out = out.subspan(count);
  }
}

} // namespace llmrt::packing
