#include "dialects/exec/Exec.h"

#include "mlir/IR/MLIRContext.h"
#include "gmock/gmock.h"

#include <limits>

using namespace llmc::exec;

namespace {

std::vector<int64_t> symbols(int64_t tokens, int64_t sequences, int64_t blocks) {
  std::vector<int64_t> values(symbolCount, 0);
  values[unsigned(Symbol::Tokens)] = tokens;
  values[unsigned(Symbol::Sequences)] = sequences;
  values[unsigned(Symbol::MaxBlocks)] = blocks;
  return values;
}

TEST(Size, MergesAndSortsTerms) {
  Size size = Size(4, Symbol::MaxBlocks, Symbol::Sequences) + Size::tokens() * 200 + 64 + Size::tokens() * 56;
  EXPECT_EQ(size.toString(), "64 + 256 T + 4 S B");
  EXPECT_EQ((size + size * -1).toString(), "0");
  EXPECT_TRUE((size + size * -1).isZero());
  size += size;
  EXPECT_EQ(size.toString(), "128 + 512 T + 8 S B");
}

TEST(Size, MultipliesBySymbols) {
  EXPECT_EQ(((Size(3) + Size::tokens()) * Symbol::Sequences).toString(), "3 S + 1 T S");
}

TEST(Size, Evaluates) {
  Size size = Size(64) + Size(256, Symbol::Tokens) + Size(4, Symbol::Sequences, Symbol::MaxBlocks);
  EXPECT_EQ(size.evaluate(symbols(3, 2, 10)), 64 + 768 + 80);
  EXPECT_EQ(Size().evaluate(symbols(3, 2, 10)), 0);
  EXPECT_EQ(size.evaluate(symbols(std::numeric_limits<int64_t>::max() / 2, 1, 1)), std::nullopt);
}

TEST(Size, KnowsConstants) {
  EXPECT_EQ(Size(7).getConstant(), 7);
  EXPECT_EQ(Size().getConstant(), 0);
  EXPECT_EQ(Size::tokens().getConstant(), std::nullopt);
}

TEST(Size, RoundsCoefficientsUp) {
  EXPECT_EQ((Size(1) + Size::tokens() * 100 + Size::rows() * 64).alignedTo(64).toString(), "64 + 128 T + 64 R");
}

TEST(Size, TakesTheMostOfEachTerm) {
  Size a = Size(64) + Size::tokens() * 8, b = Size(4) + Size::tokens() * 9 + Size::rows() * 2;
  EXPECT_EQ(a.orMore(b).toString(), "64 + 9 T + 2 R");
  EXPECT_EQ(b.orMore(a), a.orMore(b));
  EXPECT_EQ(Size().orMore(a), a);
}

TEST(Size, Compares) {
  Size small = Size(4) + Size::tokens() * 8, large = Size(4) + Size::tokens() * 9 + Size::rows();
  EXPECT_TRUE(small.isCoveredBy(large));
  EXPECT_FALSE(large.isCoveredBy(small));
}

TEST(Size, SurvivesTheAttribute) {
  mlir::MLIRContext context;
  context.loadDialect<ExecDialect>();
  Size size = Size(64) + Size(4, Symbol::Sequences, getPagesSymbol(7));
  EXPECT_EQ(Size::fromAttr(size.toAttr(&context)), size);
  EXPECT_EQ(Size::fromAttr(Size().toAttr(&context)), Size());
}

TEST(Size, NamesOfSymbolsReadBack) {
  for (unsigned i = 1; i < symbolCount; ++i)
    EXPECT_EQ(parseSymbol(getSymbolName(Symbol(i))), Symbol(i));
  EXPECT_EQ(parseSymbol("P8"), std::nullopt);
  EXPECT_EQ(parseSymbol(""), std::nullopt);
}

} // namespace
