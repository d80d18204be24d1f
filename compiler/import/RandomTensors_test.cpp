#include "runtime/packing/half.h"
#include "compiler/import/Checkpoint.h"
#include "runtime/packing/normal.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace llmc;
using models::TensorRole;

namespace {

std::vector<float> normals(uint64_t key, uint64_t begin, size_t count, float deviation = 1) {
  std::vector<float> out(count);
  llmrt::packing::fill_normal(key, begin, deviation, out);
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
  llmrt::packing::normal_variants().front().fill(7, 12345, 1 << 12, 0.02f, first.data());
  for (const llmrt::packing::NormalVariant &variant : llmrt::packing::normal_variants()) {
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

// Golden values: made by the Python program in docs/random-weights.md.
TEST(RandomTensors, ValuesAreAsDocumented) {
  models::TensorSpec spec = {"model.embed_tokens.weight", {4, 5}};
  auto source = makeRandomTensors(spec, 7, 0.02, ElementType::F32);
  std::vector<float> values(20);
  llvm::cantFail(source->readRows(*source->find(spec.name), 0, 4, false, values));
  const uint32_t expected[] = {
      0x3c127aab, 0xbc2dd004, 0xbc64394e, 0x3c96cdad, 0xbd0afd20,
      0xbca8a470, 0x3c779c41, 0xbc692a94, 0xbd002047, 0xbcb944c6,
      0x3c8f183d, 0xbb87b5e3, 0xbbaefcfc, 0x3c7a7c5c, 0x3a90a61b,
      0x3c4db130, 0xbc884ed8, 0x3b0ff0fb, 0x3cb93e55, 0x3c03fdeb,
  };
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), expected[i]) << i;
}

TEST(RandomTensors, RolesAndTypes) {
  std::vector<models::TensorSpec> specs = {
      {"w", {40, 30}, TensorRole::Weight}, {"b", {40}, TensorRole::Bias}, {"n", {30}, TensorRole::NormWeight}};
  for (ElementType element : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
    auto source = makeRandomTensors(specs, 1, 0.02, element);
    ASSERT_FALSE(bool(checkTensors(specs, *source)));
    std::vector<float> weight(1200), turned(1200), bias(40), norm(30);
    llvm::cantFail(source->readRows(*source->find("w"), 0, 40, false, weight));
    llvm::cantFail(source->readRows(*source->find("w"), 0, 30, true, turned));
    llvm::cantFail(source->readRows(*source->find("b"), 0, 40, false, bias));
    llvm::cantFail(source->readRows(*source->find("n"), 0, 30, false, norm));
    for (int r = 0; r < 40; ++r)
      for (int c = 0; c < 30; ++c) ASSERT_EQ(weight[r * 30 + c], turned[c * 40 + r]);
    for (float value : norm) EXPECT_EQ(value, 1.0f);
    for (float value : bias) EXPECT_NE(value, 0.0f);
    for (float value : weight) {
      if (element == ElementType::F16) ASSERT_EQ(value, llmrt::packing::f16_to_f32(llmrt::packing::f32_to_f16(value)));
      if (element == ElementType::BF16) ASSERT_EQ(value, llmrt::packing::bf16_to_f32(llmrt::packing::f32_to_bf16(value)));
      ASSERT_LT(std::fabs(value), 0.15f);
    }
  }
  EXPECT_EQ(makeRandomTensors(specs, 1, 0.02, ElementType::F32)->find("x"), nullptr);
}

} // namespace
