#include "codegen/lowering/RopeFrequencies.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace llmc {
namespace exactmath {

static constexpr double kLn2High = 6.93147180369123816490e-01; // its last 32 bits are zero: k x kLn2High is exact
static constexpr double kLn2Low = 1.90821492927058770002e-10;

double log(double x) {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
  uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t k = int64_t(bits >> 52) - 1023;
  if (k == -1023) { // subnormal
    bits = std::bit_cast<uint64_t>(x * 0x1p54);
    k = int64_t(bits >> 52) - 1023 - 54;
  }
  double m = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
  for (int i = 25; i >= 3; i -= 2) sum = (sum + 1.0 / i) * s2;
  return double(k) * kLn2High + (2 * s + (2 * s * sum + double(k) * kLn2Low));
}

double exp(double x) {
  // x = k ln 2 + r with |r| <= ln(2) / 2, then a Taylor series.
  double scaled = x * 1.4426950408889634;
  int64_t k = int64_t(scaled + (scaled < 0 ? -0.5 : 0.5));
  double r = (x - double(k) * kLn2High) - double(k) * kLn2Low;
  double sum = 1;
  for (int i = 16; i >= 1; --i) sum = 1 + sum * r / i;
  return sum * std::bit_cast<double>(uint64_t(k + 1023) << 52);
}

} // namespace exactmath

static constexpr double kPi = 3.141592653589793;

// math.floor and math.ceil of a value far from the limits of int64.
static double floorOf(double x) {
  double whole = double(int64_t(x));
  return whole > x ? whole - 1 : whole;
}
static double ceilOf(double x) { return -floorOf(-x); }

// base^(2i/dim) as torch holds it: exponent and result in float32.
static std::vector<float> powers(llm::RopeAttr rope) {
  std::vector<float> result(rope.getDim() / 2);
  double logBase = exactmath::log(double(float(rope.getBase())));
  for (size_t i = 0; i < result.size(); ++i) {
    float exponent = float(2 * i) / float(rope.getDim());
    result[i] = float(exactmath::exp(double(exponent) * logBase));
  }
  return result;
}

static float llama3(float frequency, llm::RopeAttr rope) {
  double original = double(rope.getOriginal());
  float wavelength = float(2 * kPi) / frequency;
  float lowWavelength = float(original / rope.getLow()), highWavelength = float(original / rope.getHigh());
  float scaled = wavelength > lowWavelength ? frequency / float(rope.getFactor()) : frequency;
  if (wavelength < highWavelength || wavelength > lowWavelength) return scaled;
  float smooth = (float(original) / wavelength - float(rope.getLow())) / float(rope.getHigh() - rope.getLow());
  return (1 - smooth) * scaled / float(rope.getFactor()) + smooth * scaled;
}

// The dimension that turns `rotations` times over the original length (YaRN, arXiv 2309.00071, section 3.2).
static double yarnDimension(double rotations, llm::RopeAttr rope) {
  return double(rope.getDim()) * exactmath::log(double(rope.getOriginal()) / (rotations * 2 * kPi)) /
         (2 * exactmath::log(rope.getBase()));
}

static void yarn(std::vector<float> &frequencies, llvm::ArrayRef<float> powers, llm::RopeAttr rope) {
  double low = yarnDimension(rope.getBetaFast(), rope), high = yarnDimension(rope.getBetaSlow(), rope);
  if (rope.getTruncate()) {
    low = floorOf(low);
    high = ceilOf(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, double(rope.getDim() - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    float ramp = std::clamp((float(i) - float(low)) / float(high - low), 0.0f, 1.0f);
    float extrapolation = 1 - ramp;
    float interpolated = 1.0f / (float(rope.getFactor()) * powers[i]);
    frequencies[i] = interpolated * (1 - extrapolation) + frequencies[i] * extrapolation;
  }
}

std::vector<float> ropeFrequencies(llm::RopeAttr rope) {
  std::vector<float> base = powers(rope), frequencies(base.size());
  for (size_t i = 0; i < base.size(); ++i) frequencies[i] = 1.0f / base[i];
  if (rope.getScaling() == "linear")
    for (float &f : frequencies) f /= float(rope.getFactor());
  if (rope.getScaling() == "llama3")
    for (float &f : frequencies) f = llama3(f, rope);
  if (rope.getScaling() == "yarn") yarn(frequencies, base, rope);
  return frequencies;
}

} // namespace llmc
