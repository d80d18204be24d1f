// The natural logarithm with arithmetic that IEEE 754 fixes: the host's libm differs from machine to machine, and what
// is computed here ends in the artifact.
#pragma once

#include <bit>
#include <cstdint>

namespace llmc::models {

// Of a normal positive double, to within a few ulp. x = m 2^e with m in [1/sqrt2, sqrt2); ln m = 2 artanh((m-1)/(m+1)).
inline double logarithm(double x) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1, kSqrt2 = 0x1.6a09e667f3bcdp+0;
  uint64_t bits = std::bit_cast<uint64_t>(x);
  int exponent = int(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (mantissa >= kSqrt2) {
    mantissa /= 2;
    ++exponent;
  }
  double ratio = (mantissa - 1) / (mantissa + 1), square = ratio * ratio, sum = 0;
  for (int term = 29; term >= 1; term -= 2) // |ratio| < 0.1716: the first term left out is below 2^-80
    sum = sum * square + 1.0 / term;
  return 2 * ratio * sum + exponent * kLn2;
}

} // namespace llmc::models
