// exp() and log() of the sampler: the same bits on every machine, which libm does not promise.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace llmrt {

// e^x for x <= 0 (0 below -708, for -infinity and NaN too), within 2 units in the last place: x = k ln 2 + r with
// |r| <= ln 2 / 2, the Taylor series of e^r to degree 13, times 2^k. In place, for `count` values; two at a time, four
// times over, which is what the oldest x86-64 and arm64 have, so that every machine does the same.
inline void portable_exp(double *values, size_t count) {
  typedef double Pair __attribute__((vector_size(16)));
  typedef int64_t Bits __attribute__((vector_size(16)));
  constexpr double kLog2e = 1.4426950408889634, kLn2High = 0x1.62e42fefap-1, kLn2Low = 0x1.cf79abc9e3b39p-40;
  constexpr double kRound = 0x1.8p52; // adding it rounds to an integer, which the low bits of the sum then hold
  constexpr double kInverseFactorials[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
  constexpr size_t kPairs = 4;
  for (size_t at = 0; at < count; at += 2 * kPairs) {
    const size_t bytes = (count - at < 2 * kPairs ? count - at : 2 * kPairs) * sizeof(double);
    Pair x[kPairs] = {}, r[kPairs], sum[kPairs] = {};
    Bits scale[kPairs], in_range[kPairs];
    std::memcpy(x, values + at, bytes);
    for (size_t i = 0; i < kPairs; ++i) {
      in_range[i] = x[i] >= -708.0;
      const Pair shifted = x[i] * kLog2e + kRound, k = shifted - kRound;
      r[i] = (x[i] - k * kLn2High) - k * kLn2Low;
      scale[i] = ((Bits)shifted << 52) + (int64_t(1023) << 52);
    }
    for (double c : kInverseFactorials)
      for (size_t i = 0; i < kPairs; ++i) sum[i] = sum[i] * r[i] + c;
    for (size_t i = 0; i < kPairs; ++i) x[i] = (Pair)((Bits)(sum[i] * (Pair)scale[i]) & in_range[i]);
    std::memcpy(values + at, x, bytes);
  }
}

inline double portable_exp(double x) {
  portable_exp(&x, 1);
  return x;
}

// The natural logarithm of a normal x >= 2^-1000, within 2 units in the last place of max(1, |log x|): x = m 2^k with
// m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)) by its series.
inline double portable_log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t k = int64_t(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFull) | 1023ull << 52);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double t = (m - 1) / (m + 1), square = t * t; // |t| <= 0.1716, so 12 terms leave less than 2^-60
  double sum = 0;
  for (int n = 23; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return double(k) * 0x1.62e42fefa39efp-1 + 2 * t * sum;
}

} // namespace llmrt
