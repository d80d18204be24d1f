// exp() and log() of the sampler: the same bits on every machine, which libm does not promise.
#pragma once

#include <bit>
#include <cstdint>

namespace llmrt {

// e^x for x <= 0 (0 below -708, for -infinity too), within 2 units in the last place: x = k ln 2 + r with
// |r| <= ln 2 / 2, the Taylor series of e^r to degree 13, times 2^k.
inline double portable_exp(double x) {
  if (!(x >= -708.0)) return 0;
  constexpr double kLog2e = 1.4426950408889634, kLn2High = 0x1.62e42fefap-1, kLn2Low = 0x1.cf79abc9e3b39p-40;
  const double shifted = x * kLog2e + 0x1.8p52; // adding 1.5 x 2^52 rounds to an integer in the low bits
  const double k = shifted - 0x1.8p52;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  constexpr double kInverseFactorials[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                           1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                           1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5,
                                           1.0,              1.0};
  double sum = 0;
  for (double c : kInverseFactorials) sum = sum * r + c;
  return sum * std::bit_cast<double>(uint64_t(int64_t(k) + 1023) << 52);
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
