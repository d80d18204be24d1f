#include "runtime/engine/pooling.h"

#include <algorithm>
#include <cmath>

namespace llmrt {

void HiddenPools::begin(int slot) {
  counts_[size_t(slot)] = 0;
  std::fill_n(sums_.begin() + slot * width_, width_, 0.0);
}

void HiddenPools::add(int slot, std::span<const float> row) {
  ++counts_[size_t(slot)];
  double *sums = sums_.data() + slot * width_;
  for (size_t i = 0; i < row.size(); ++i) sums[i] += double(row[i]);
}

std::vector<float> HiddenPools::take(int slot) const {
  const double *sums = sums_.data() + slot * width_;
  const double count = double(std::max<int64_t>(1, counts_[size_t(slot)]));
  std::vector<float> result(static_cast<size_t>(width_));
  for (size_t i = 0; i < result.size(); ++i) result[i] = float(sums[i] / count);
  return result;
}

void normalize(std::span<float> values) {
  double squares = 0;
  for (float value : values) squares += double(value) * double(value);
  if (squares <= 0) return;
  const double norm = std::sqrt(squares);
  for (float &value : values) value = float(double(value) / norm);
}

} // namespace llmrt
