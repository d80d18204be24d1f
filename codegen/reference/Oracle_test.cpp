#include "codegen/reference/Oracle.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace llmc::reference;
using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

TEST(Oracle, LinearIsXTimesWTransposed) {
  EXPECT_THAT(linear(Values{1, 2, 3, -1, 0, 2}, 2, 3, Values{1, 1, 1, 0, 2, -1}, 2), ElementsAre(6, 1, 1, -2));
}

TEST(Oracle, NormsByGroup) {
  Values x = {3, 4, 6, 8};
  EXPECT_THAT(norm(Norm::Rms, x, 4, 2, Values{1, 2}, {}, 0),
              Pointwise(DoubleNear(1e-14), Values{3 / std::sqrt(12.5), 8 / std::sqrt(12.5), 6 / std::sqrt(50.0),
                                                  16 / std::sqrt(50.0)}));
  EXPECT_THAT(norm(Norm::Layer, Values{1, 3}, 2, 2, Values{2, 2}, Values{10, 20}, 0),
              Pointwise(DoubleNear(1e-14), Values{8, 22}));
  EXPECT_THAT(norm(Norm::Layer, Values{1, 3}, 2, 2, {}, {}, 3), Pointwise(DoubleNear(1e-14), Values{-0.5, 0.5}));
}

// Values of transformers' ACT2FN at 1 and -0.5, in double.
TEST(Oracle, Activations) {
  EXPECT_NEAR(activation(Activation::Silu, 1), 0.7310585786300049, 1e-15);
  EXPECT_NEAR(activation(Activation::Gelu, 1), 0.8413447460685429, 1e-15);
  EXPECT_NEAR(activation(Activation::Gelu, -0.5), -0.15426876936299344, 1e-15);
  EXPECT_NEAR(activation(Activation::GeluTanh, 1), 0.8411919906082768, 1e-15);
  EXPECT_NEAR(activation(Activation::GeluTanh, -0.5), -0.15428599017485606, 1e-15);
  EXPECT_NEAR(activation(Activation::QuickGelu, 1), 0.8457957659328212, 1e-15);
  EXPECT_EQ(activation(Activation::Relu, -0.5), 0);
  EXPECT_EQ(activation(Activation::Relu2, 3), 9);
  EXPECT_NEAR(activation(Activation::Tanh, 1), 0.7615941559557649, 1e-15);
  EXPECT_NEAR(activation(Activation::Sigmoid, -0.5), 0.3775406687981454, 1e-15);
}

TEST(Oracle, RopeTurnsPairsByPosition) {
  RopeSpec spec{.dim = 2, .attentionFactor = 2};
  std::vector<float> frequencies = ropeFrequencies(spec, 1);
  ASSERT_THAT(frequencies, ElementsAre(1.0f));
  // Two rows of one head of three elements: the third stays.
  Values turned = rope(spec, frequencies, Values{1, 0, 5, 0, 1, 6}, {0, 1}, 1, 3);
  EXPECT_THAT(turned, Pointwise(DoubleNear(1e-14), Values{2, 0, 5, -2 * std::sin(1.0), 2 * std::cos(1.0), 6}));
}

TEST(Oracle, InterleavedRopeIsHalfRopePermuted) {
  RopeSpec half{.dim = 4}, interleaved{.dim = 4, .interleaved = true};
  std::vector<float> frequencies = ropeFrequencies(half, 1);
  Values a = rope(half, frequencies, Values{1, 2, 3, 4}, {7}, 1, 4);
  Values b = rope(interleaved, frequencies, Values{1, 3, 2, 4}, {7}, 1, 4);
  EXPECT_THAT(b, ElementsAre(a[0], a[2], a[1], a[3]));
}

TEST(Oracle, ScalingsKeepShortWavesAndSlowLongOnes) {
  RopeSpec plain{.dim = 64};
  std::vector<float> base = ropeFrequencies(plain, 1);
  for (const char *scaling : {"linear", "llama3", "yarn"}) {
    RopeSpec spec = plain;
    spec.scaling = scaling;
    spec.factor = spec.high = 4;
    spec.original = 32;
    std::vector<float> scaled = ropeFrequencies(spec, 1);
    EXPECT_EQ(scaled.front(), scaling == std::string("linear") ? base.front() / 4 : base.front()) << scaling;
    EXPECT_FLOAT_EQ(scaled.back(), base.back() / 4) << scaling;
  }
}

TEST(Oracle, DynamicRopeChangesBeyondTheOriginalLength) {
  RopeSpec spec{.dim = 8, .scaling = "dynamic", .factor = 2, .original = 32}, plain{.dim = 8};
  EXPECT_EQ(ropeFrequencies(spec, 5), ropeFrequencies(plain, 0));
  EXPECT_EQ(ropeFrequencies(spec, 32), ropeFrequencies(plain, 0));
  plain.base = 10000 * std::pow(2 * 64 / 32.0 - 1, 8.0 / 6);
  EXPECT_EQ(ropeFrequencies(spec, 64), ropeFrequencies(plain, 0));
}

struct AttentionTest : testing::Test {
  AttentionSpec spec{.heads = 2, .kvHeads = 1, .keyDim = 1, .valueDim = 1};
  Values key = {1, -1, 2}, value = {10, 20, 40};
};

TEST_F(AttentionTest, WindowOfOneSeesItself) {
  spec.window = 1;
  EXPECT_THAT(attention(spec, Values{3, -3, 1, 1}, {1, 2}, key, value), ElementsAre(20, 20, 40, 40));
}

TEST_F(AttentionTest, EqualScoresAverage) {
  EXPECT_THAT(attention(spec, Values{0, 0}, {1}, key, value), ElementsAre(DoubleEq(15), DoubleEq(15)));
  EXPECT_THAT(attention(spec, Values{0, 0}, {2}, key, value, /*sinks=*/Values{0, std::log(3.0)}),
              ElementsAre(DoubleNear(70 / 4.0, 1e-13), DoubleNear(70 / 6.0, 1e-13)));
}

TEST_F(AttentionTest, ScaleCapAndSlope) {
  auto mean = [&](double s0, double s1) { return (10 * std::exp(s0) + 20 * std::exp(s1)) / (std::exp(s0) + std::exp(s1)); };
  spec.scale = 0.5;
  EXPECT_NEAR(attention(spec, Values{1, 2}, {1}, key, value)[1], mean(1, -1), 1e-13);
  spec.softCap = 0.7;
  double cap = 0.7 * std::tanh(1 / 0.7);
  EXPECT_NEAR(attention(spec, Values{1, 2}, {1}, key, value)[1], mean(cap, -cap), 1e-13);
  EXPECT_NEAR(attention(spec, Values{1, 2}, {1}, key, value, {}, Values{0, 0.25})[1], mean(cap - 0.25, -cap), 1e-13);
}

TEST(Oracle, Int8RowsHaveAScaleForEach128Columns) {
  Values x(200, 0);
  x[0] = 127;
  x[1] = 0.5; // ties to even
  x[2] = -1.5;
  x[199] = -2.54;
  x[198] = 0.03;
  Int8Rows rows = quantizeInt8(x, 1, 200);
  ASSERT_EQ(rows.scales.size(), 2u);
  EXPECT_EQ(rows.scales[0], 1.0f);
  EXPECT_EQ(rows.scales[1], 2.54f / 127.0f);
  EXPECT_EQ(rows.q[0], 127);
  EXPECT_EQ(rows.q[1], 0);
  EXPECT_EQ(rows.q[2], -2);
  EXPECT_EQ(rows.q[199], -127);
  EXPECT_EQ(rows.q[198], 2);
  EXPECT_EQ(roundInt8(x, 1, 200)[2], -2);
  EXPECT_EQ(roundInt8(Values(3, 0.0), 1, 3), Values(3, 0.0));
}

TEST(Oracle, WeightsRoundBySchemeAndElement) {
  std::vector<float> weight(17 * 40);
  for (size_t i = 0; i < weight.size(); ++i)
    weight[i] = std::sin(float(i));
  Values exact = roundWeight("none", Element::F32, weight, 17, 40);
  EXPECT_TRUE(std::equal(weight.begin(), weight.end(), exact.begin()));
  auto worst = [&](const Values &rounded) {
    double result = 0;
    for (size_t i = 0; i < weight.size(); ++i)
      result = std::max(result, std::fabs(rounded[i] - weight[i]));
    return result;
  };
  EXPECT_LE(worst(roundWeight("none", Element::F16, weight, 17, 40)), 0x1p-12);
  EXPECT_LE(worst(roundWeight("none", Element::BF16, weight, 17, 40)), 0x1p-9);
  double q8 = worst(roundWeight("q8_g32", Element::F32, weight, 17, 40));
  double q4 = worst(roundWeight("q4_g32", Element::F32, weight, 17, 40));
  EXPECT_GT(q8, 0);
  EXPECT_LT(q8, 1.0 / 127);
  EXPECT_GT(q4, q8);
  EXPECT_LT(q4, 1.0 / 7);
}

} // namespace
