#include "codegen/reference/Oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace llmc::reference {

Values linear(Input x, int64_t rows, int64_t inputs, Input weight, int64_t outputs) {
  assert(int64_t(x.size()) == rows * inputs && int64_t(weight.size()) == outputs * inputs);
  Values result(rows * outputs);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t output = 0; output < outputs; ++output) {
      const double *a = &x[row * inputs], *b = &weight[output * inputs];
      double sum = 0;
      for (int64_t i = 0; i < inputs; ++i)
        sum += a[i] * b[i];
      result[row * outputs + output] = sum;
    }
  return result;
}

// In place.
static void normGroup(Norm kind, llvm::MutableArrayRef<double> x, Input weight, Input bias, double epsilon) {
  double count = double(x.size()), mean = 0, squares = 0;
  if (kind == Norm::Layer)
    for (double value : x)
      mean += value / count;
  for (double value : x)
    squares += (value - mean) * (value - mean) / count;
  double scale = 1 / std::sqrt(squares + epsilon);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = (x[i] - mean) * scale * (weight.empty() ? 1 : weight[i]) + (bias.empty() ? 0 : bias[i]);
}

Values norm(Norm kind, Input x, int64_t columns, int64_t group, Input weight, Input bias, double epsilon) {
  assert(x.size() % columns == 0 && columns % group == 0);
  Values result = x.vec();
  for (size_t first = 0; first < result.size(); first += group)
    normGroup(kind, llvm::MutableArrayRef(result).slice(first, group), weight, bias, epsilon);
  return result;
}

std::vector<Best> topK(llvm::ArrayRef<float> x, int64_t columns, int64_t count) {
  assert(x.size() % columns == 0);
  std::vector<Best> result;
  for (size_t first = 0; first < x.size(); first += columns) {
    std::vector<Best> row;
    for (int64_t column = 0; column < columns; ++column)
      row.push_back({x[first + column], column});
    std::sort(row.begin(), row.end(), [](const Best &a, const Best &b) {
      bool none = std::isnan(a.value), noneThere = std::isnan(b.value);
      if (none != noneThere) return none;
      return none || a.value == b.value ? a.column < b.column : a.value > b.value;
    });
    row.resize(count, {-std::numeric_limits<float>::infinity(), -1});
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double activation(Activation kind, double x) {
  constexpr double kSqrtHalf = 0.70710678118654752440, kSqrt2OverPi = 0.79788456080286535588;
  switch (kind) {
  case Activation::Silu:
    return x * sigmoid(x);
  case Activation::Gelu:
    return 0.5 * x * (1 + std::erf(x * kSqrtHalf));
  case Activation::GeluTanh:
    return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
  case Activation::QuickGelu:
    return x * sigmoid(1.702 * x);
  case Activation::Relu:
    return x > 0 ? x : 0;
  case Activation::Relu2:
    return x > 0 ? x * x : 0;
  case Activation::Tanh:
    return std::tanh(x);
  case Activation::Sigmoid:
    return sigmoid(x);
  }
  return x;
}

} // namespace llmc::reference
