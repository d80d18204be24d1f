#include "compiler/import/Checkpoint.h"
#include "runtime/packing/half.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace llmc;
using models::TensorRole;

namespace {

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
