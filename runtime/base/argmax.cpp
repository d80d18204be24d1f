#include "runtime/base/argmax.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

namespace llmrt {

namespace {

typedef int32_t Lanes __attribute__((vector_size(64)));

struct Extent {
  float largest;
  bool bad; // one of the values is NaN or +infinity
};

Extent extent_of(const float *values, size_t count) {
  constexpr int32_t kFinite = 0x7f7fffff, kBelow = int32_t(0xff800000) ^ 0x7fffffff; // FLT_MAX, -infinity
  Lanes most = Lanes{} + INT32_MIN, least = Lanes{} + INT32_MAX;
  auto add = [&](const Lanes &bits) {
    // Integers in the order of the floats they stand for (NaNs at both ends), which compare quickly everywhere.
    const Lanes keys = bits ^ ((bits >> 31) & 0x7fffffff);
    most = keys > most ? keys : most;
    least = keys < least ? keys : least;
  };
  size_t i = 0;
  for (; i + 16 <= count; i += 16) { // of a length that is known, copies are loads
    Lanes bits;
    std::memcpy(&bits, values + i, sizeof bits);
    add(bits);
  }
  Lanes rest = Lanes{} + int32_t(0xff800000); // -infinity changes nothing
  std::memcpy(&rest, values + i, (count - i) * sizeof(float));
  add(rest);
  int32_t top = INT32_MIN, bottom = INT32_MAX;
  for (int lane = 0; lane < 16; ++lane) {
    top = std::max(top, most[lane]);
    bottom = std::min(bottom, least[lane]);
  }
  return {std::bit_cast<float>(top ^ ((top >> 31) & 0x7fffffff)), top > kFinite || bottom < kBelow};
}

} // namespace

int32_t argmax(std::span<const float> values) {
  constexpr size_t kBlock = 1024;
  float best = -std::numeric_limits<float>::infinity();
  size_t from = 0;
  for (size_t i = 0; i < values.size(); i += kBlock) {
    const Extent extent = extent_of(values.data() + i, std::min(kBlock, values.size() - i));
    if (extent.bad) return -1;
    if (extent.largest > best) {
      best = extent.largest;
      from = i;
    }
  }
  return int32_t(std::find(values.begin() + ptrdiff_t(from), values.end(), best) - values.begin());
}

} // namespace llmrt
