#include "codegen/reference/Oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace llmc::reference {
namespace {

constexpr double kPi = std::numbers::pi;

// base^(2i/dim): exponent and result are float32 tensors there.
float power(const RopeSpec &rope, double base, int64_t i) {
  return float(std::pow(double(float(base)), double(float(2 * i) / float(rope.dim))));
}

// NTK-aware scaling by the length: https://www.reddit.com/r/LocalLLaMA/comments/14mrgpr
double dynamicBase(const RopeSpec &rope, int64_t length) {
  double original = double(rope.original), longest = double(std::max(length, rope.original));
  double dim = double(rope.dim);
  return rope.base * std::pow(rope.factor * longest / original - (rope.factor - 1), dim / (dim - 2));
}

// Llama 3.1: long waves are slowed down, short ones kept, those between blended.
float llama3(const RopeSpec &rope, float frequency) {
  double original = double(rope.original);
  float wave = float(2 * kPi) / frequency;
  bool isLong = double(wave) > original / rope.low, isShort = double(wave) < original / rope.high;
  float scaled = isLong ? frequency / float(rope.factor) : frequency;
  if (isLong || isShort)
    return scaled;
  float smooth = (float(original) / wave - float(rope.low)) / float(rope.high - rope.low);
  return (1 - smooth) * scaled / float(rope.factor) + smooth * scaled;
}

// https://arxiv.org/abs/2309.00071: the dimension that turns `rotations` times over the original length.
double yarnDim(const RopeSpec &rope, double rotations) {
  return double(rope.dim) * std::log(double(rope.original) / (rotations * 2 * kPi)) / (2 * std::log(rope.base));
}

float yarn(const RopeSpec &rope, float power, int64_t i) {
  double low = yarnDim(rope, rope.betaFast), high = yarnDim(rope, rope.betaSlow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, double(rope.dim - 1));
  if (low == high)
    high += 0.001;
  float ramp = std::clamp((float(i) - float(low)) / float(high - low), 0.0f, 1.0f);
  float keep = 1 - ramp;
  return 1 / (float(rope.factor) * power) * (1 - keep) + 1 / power * keep;
}

} // namespace

std::vector<float> ropeFrequencies(const RopeSpec &rope, int64_t length) {
  std::vector<float> frequencies(rope.dim / 2);
  double base = rope.scaling == "dynamic" ? dynamicBase(rope, length) : rope.base;
  for (int64_t i = 0; i < rope.dim / 2; ++i) {
    float power = reference::power(rope, base, i), frequency = 1 / power;
    if (rope.scaling == "linear")
      frequency /= float(rope.factor);
    else if (rope.scaling == "llama3")
      frequency = llama3(rope, frequency);
    else if (rope.scaling == "yarn")
      frequency = yarn(rope, power, i);
    frequencies[i] = frequency;
  }
  return frequencies;
}

Values rope(const RopeSpec &rope, llvm::ArrayRef<float> frequencies, Input x, llvm::ArrayRef<int64_t> positions,
            int64_t heads, int64_t headDim) {
  assert(x.size() == positions.size() * heads * headDim && rope.dim <= headDim);
  Values result = x.vec();
  int64_t half = rope.dim / 2, step = rope.interleaved ? 2 : 1, apart = rope.interleaved ? 1 : half;
  for (size_t row = 0; row < positions.size(); ++row)
    for (int64_t i = 0; i < half; ++i) {
      double angle = float(positions[row]) * frequencies[i];
      double cosine = std::cos(angle) * rope.attentionFactor, sine = std::sin(angle) * rope.attentionFactor;
      for (int64_t head = 0; head < heads; ++head) {
        double *first = &result[(row * heads + head) * headDim + i * step], *second = first + apart;
        double a = *first, b = *second;
        *first = a * cosine - b * sine;
        *second = b * cosine + a * sine;
      }
    }
  return result;
}

} // namespace llmc::reference
