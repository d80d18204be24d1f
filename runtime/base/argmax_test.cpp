// Against the plain search, at every length around the widths that it takes at once.
#include "runtime/base/argmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace llmrt {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Argmax, IsTheFirstOfTheLargest) {
  std::mt19937 random(5);
  for (size_t count : {1, 2, 15, 16, 17, 1023, 1024, 1025, 4000})
    for (int levels : {2, 1000}) {
      std::vector<float> values(count);
      for (float &value : values) value = float(int(random() % unsigned(levels)) - levels / 2);
      EXPECT_EQ(argmax(values), std::max_element(values.begin(), values.end()) - values.begin()) << count;
    }
}

TEST(Argmax, OfMinusInfinityIsTheFirst) {
  EXPECT_EQ(argmax(std::vector<float>(2000, -kInfinity)), 0);
  EXPECT_EQ(argmax(std::vector<float>{-kInfinity, -1e38f, -kInfinity}), 1);
}

TEST(Argmax, OfZerosIsTheFirstOfEitherSign) {
  EXPECT_EQ(argmax(std::vector<float>{-1, -0.0f, 0.0f}), 1);
}

TEST(Argmax, RefusesWhatIsNoNumberWhereverItLies) {
  for (float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()})
    for (size_t at : {0, 15, 16, 1023, 1024, 2049}) {
      std::vector<float> values(2050, 1.0f);
      values[at] = bad;
      EXPECT_EQ(argmax(values), -1) << bad << " at " << at;
    }
}

} // namespace
} // namespace llmrt
