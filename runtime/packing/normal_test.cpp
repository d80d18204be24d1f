#include "runtime/packing/normal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace llmrt::packing {
namespace {

std::vector<float> normals(uint64_t key, uint64_t begin, size_t count, float deviation = 1) {
  std::vector<float> out(count);
  fill_normal(key, begin, deviation, out);
  return out;
}

TEST(NormalGenerator, AValueDependsOnItsIndexAlone) {
  std::vector<float> all = normals(42, 0, 1000);
  for (uint64_t begin : {0, 1, 15, 16, 17, 100})
    for (size_t count : {0, 1, 15, 16, 31, 33, 500}) {
      std::vector<float> part = normals(42, begin, count);
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(part[i], all[begin + i]);
    }
  EXPECT_NE(normals(43, 0, 16), normals(42, 0, 16));
  EXPECT_EQ(normals(42, uint64_t(1) << 40, 1).size(), 1u);
}

TEST(NormalGenerator, EveryVectorWidthGivesTheSameBits) {
  std::vector<float> first(1 << 16), other(1 << 16);
  normal_variants().front().fill(7, 12345, 1 << 12, 0.02f, first.data());
  for (const NormalVariant &variant : normal_variants()) {
    variant.fill(7, 12345, 1 << 12, 0.02f, other.data());
    ASSERT_EQ(std::memcmp(first.data(), other.data(), first.size() * 4), 0) << variant.name;
  }
}

// Moments and tails of 2^22 values against the normal distribution's, within five standard errors.
TEST(NormalGenerator, IsNormal) {
  constexpr size_t kCount = 1 << 22;
  std::vector<float> values = normals(1, 0, kCount);
  double moments[5] = {};
  size_t beyond[6] = {};
  for (float value : values) {
    double power = 1;
    for (double &moment : moments) moment += (power *= value);
    for (int i = 0; i < 6; ++i) beyond[i] += std::fabs(value) > i;
  }
  const double expected[5] = {0, 1, 0, 3, 0}, variance[5] = {1, 2, 15, 96, 945};
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(moments[i] / kCount, expected[i], 5 * std::sqrt(variance[i] / kCount)) << i;
  for (int i = 1; i < 6; ++i) {
    double probability = std::erfc(i / std::sqrt(2.0));
    EXPECT_NEAR(double(beyond[i]), kCount * probability, 5 * std::sqrt(kCount * probability) + 1) << i;
  }
  double product = 0; // neighbours are not related
  for (size_t i = 1; i < kCount; ++i) product += double(values[i]) * values[i - 1];
  EXPECT_NEAR(product / kCount, 0, 5 / std::sqrt(double(kCount)));
}

// The Kolmogorov-Smirnov distance of the quantile function from the distribution, over equal steps of probability.
TEST(NormalGenerator, FollowsTheDistribution) {
  std::vector<float> values = normals(3, 0, 1 << 20);
  std::sort(values.begin(), values.end());
  double distance = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    double probability = 0.5 * std::erfc(-values[i] / std::sqrt(2.0));
    distance = std::max(distance, std::fabs(probability - (i + 0.5) / values.size()));
  }
  EXPECT_LT(distance, 1.63 / std::sqrt(double(values.size()))); // 1% level
}

} // namespace
} // namespace llmrt::packing
