#include "runtime/packing/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace packing = llmrt::packing;

namespace {

float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }

// Rounds to a format by exact double arithmetic: `mantissa` bits behind the point, exponents from `lowest`.
double round_to(double value, int mantissa, int lowest) {
  if (value == 0)
    return value;
  int exponent = std::max(std::ilogb(value), lowest);
  double unit = std::ldexp(1.0, exponent - mantissa);
  return std::nearbyint(value / unit) * unit;
}

TEST(Half, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    float value = packing::f16_to_f32(uint16_t(half));
    if ((half & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(packing::f16_to_f32(packing::f32_to_f16(value))));
      continue;
    }
    ASSERT_EQ(packing::f32_to_f16(value), half);
    int exponent = int(half >> 10 & 31);
    if (exponent == 31)
      continue;
    double magnitude = exponent ? std::ldexp(1024 + (half & 1023), exponent - 25) : std::ldexp(half & 1023, -24);
    ASSERT_EQ(std::fabs(double(value)), magnitude);
    ASSERT_EQ(std::signbit(value), half >> 15 != 0);
  }
}

TEST(Half, RoundsToNearestEven) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    float value = float_of(random());
    if (!std::isfinite(value))
      continue;
    double expected = round_to(value, 10, -14);
    if (std::fabs(expected) > 65504)
      expected = std::copysign(HUGE_VAL, expected);
    ASSERT_EQ(double(packing::f16_to_f32(packing::f32_to_f16(value))), expected) << value;
    double wide = round_to(value, 7, -126);
    if (std::fabs(wide) >= 0x1p128)
      wide = std::copysign(HUGE_VAL, wide);
    ASSERT_EQ(double(packing::bf16_to_f32(packing::f32_to_bf16(value))), wide) << value;
  }
}

TEST(Half, TiesAndEdges) {
  EXPECT_EQ(packing::f32_to_f16(1.0f + 0x1p-11f), 0x3c00); // a tie goes to the even neighbour
  EXPECT_EQ(packing::f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(packing::f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(packing::f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(packing::f32_to_f16(0x1p-25f), 0);
  EXPECT_EQ(packing::f32_to_f16(0x1.8p-25f), 1);
  EXPECT_EQ(packing::f32_to_f16(-0.0f), 0x8000);
  EXPECT_EQ(packing::f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(packing::f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(packing::bf16_to_f32(packing::f32_to_bf16(float_of(0x7f800001)))));
  EXPECT_EQ(packing::f32_to_bf16(-std::numeric_limits<float>::infinity()), 0xff80);
}

} // namespace
