#include "runtime/artifact/polynomial.h"

#include <gtest/gtest.h>

namespace llmrt {
namespace {

using schema::Symbol;

Polynomial poly(std::initializer_list<std::tuple<int64_t, Symbol, Symbol>> terms) {
  Polynomial result;
  for (auto [coefficient, a, b] : terms) {
    Monomial monomial(a);
    EXPECT_TRUE(monomial.multiply(b));
    result.add(coefficient, monomial);
  }
  return result;
}

TEST(Polynomial, ProductsCommute) {
  Polynomial sum = poly({{2, Symbol::Tokens, Symbol::Rows}, {3, Symbol::Rows, Symbol::Tokens}});
  ASSERT_EQ(sum.terms().size(), 1u);
  EXPECT_EQ(sum.terms()[0].second, 5);
  sum.add(poly({{-5, Symbol::Rows, Symbol::Tokens}}));
  EXPECT_TRUE(sum.terms().empty());
}

TEST(Polynomial, ThreeFactorsAtMost) {
  Monomial monomial(Symbol::Tokens);
  EXPECT_TRUE(monomial.multiply(Symbol::One));
  EXPECT_TRUE(monomial.multiply(Symbol::Rows));
  EXPECT_TRUE(monomial.multiply(Symbol::Rows));
  EXPECT_FALSE(monomial.multiply(Symbol::Rows));
}

TEST(Polynomial, Dominates) {
  Polynomial size = poly({{64, Symbol::One, Symbol::One}, {8, Symbol::Tokens, Symbol::One}});
  EXPECT_TRUE(size.dominates(size));
  EXPECT_TRUE(size.dominates(Polynomial()));
  EXPECT_TRUE(size.dominates(poly({{64, Symbol::One, Symbol::One}})));
  EXPECT_FALSE(size.dominates(poly({{65, Symbol::One, Symbol::One}})));
  EXPECT_FALSE(size.dominates(poly({{9, Symbol::Tokens, Symbol::One}})));
  EXPECT_FALSE(size.dominates(poly({{1, Symbol::Rows, Symbol::One}})));
  EXPECT_FALSE(size.dominates(poly({{1, Symbol::Tokens, Symbol::Tokens}})));
  // A negative coefficient that the other lacks, before, between and after its terms.
  EXPECT_FALSE(poly({{-1, Symbol::One, Symbol::One}, {8, Symbol::Tokens, Symbol::One}})
                   .dominates(poly({{8, Symbol::Tokens, Symbol::One}})));
  EXPECT_FALSE(poly({{8, Symbol::Tokens, Symbol::One}, {-1, Symbol::Rows, Symbol::One}})
                   .dominates(poly({{8, Symbol::Tokens, Symbol::One}})));
  EXPECT_TRUE(poly({}).dominates(poly({{-8, Symbol::One, Symbol::One}})));
}

TEST(Polynomial, GrowingPart) {
  Polynomial mixed = poly(
      {{-64, Symbol::One, Symbol::One}, {8, Symbol::Tokens, Symbol::One}, {-2, Symbol::Rows, Symbol::One}});
  Polynomial growing = mixed.growing_part();
  EXPECT_TRUE(growing.dominates(mixed));
  ASSERT_EQ(growing.terms().size(), 2u);
  EXPECT_EQ(growing.terms()[0].second, -64);
  EXPECT_EQ(growing.terms()[1].second, 8);
}

TEST(Polynomial, OverflowIsNeverSmall) {
  Polynomial big(INT64_MAX);
  big.add(1, Monomial());
  EXPECT_TRUE(big.overflowed());
  EXPECT_FALSE(big.dominates(Polynomial()));
  EXPECT_FALSE(Polynomial(INT64_MAX).dominates(big));
  EXPECT_FALSE(big.non_negative());
  EXPECT_FALSE(big.multiple_of(1));
  EXPECT_TRUE(big.growing_part().overflowed());
}

TEST(Polynomial, MultipleOf) {
  Polynomial offset = poly({{64, Symbol::One, Symbol::One}, {192, Symbol::Tokens, Symbol::One}});
  EXPECT_TRUE(offset.multiple_of(64));
  EXPECT_FALSE(offset.multiple_of(128));
}

TEST(Polynomial, EvaluatesSizes) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<schema::Term> terms = {{10, Symbol::One, Symbol::One}, {4, Symbol::Tokens, Symbol::Rows}};
  builder.Finish(schema::CreateSize(builder, builder.CreateVectorOfStructs(terms)));
  const auto *size = flatbuffers::GetRoot<schema::Size>(builder.GetBufferPointer());
  SymbolValues values{};
  values[0] = 1;
  values[size_t(Symbol::Tokens)] = 3;
  values[size_t(Symbol::Rows)] = 5;
  EXPECT_EQ(evaluate(size, values), 70);
  EXPECT_EQ(evaluate(nullptr, values), 0);
  values[size_t(Symbol::Tokens)] = INT64_MAX / 2;
  EXPECT_EQ(evaluate(size, values), std::nullopt);
}

} // namespace
} // namespace llmrt
