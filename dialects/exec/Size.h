// Sizes as polynomials over the symbols of a step: the sum of coefficient x symbol x symbol.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace mlir {
class MLIRContext;
}

namespace llmc::exec {

class SizeAttr;

// As llmrt.schema.Symbol of runtime/schema/artifact.fbs, value for value.
enum class Symbol : uint8_t {
  One = 0, Tokens, Sequences, Rows, MaxBlocks,
  Pages0, Pages1, Pages2, Pages3, Pages4, Pages5, Pages6, Pages7,
  HiddenRows,
};
constexpr unsigned symbolCount = 14;
constexpr unsigned maxCacheGroups = 8;

// "", T, S, R, B, P0 to P7, H.
llvm::StringRef getSymbolName(Symbol symbol);
std::optional<Symbol> parseSymbol(llvm::StringRef name); // not the empty name
Symbol getPagesSymbol(unsigned group);                   // group < maxCacheGroups

struct SizeTerm {
  int64_t coefficient;
  Symbol first, second; // first <= second; One where there is none
  friend bool operator==(const SizeTerm &, const SizeTerm &) = default;
};

// Kept canonical: terms sorted by symbols, no two alike, no coefficient 0. Coefficients must stay within int64_t.
class Size {
public:
  Size() = default;
  Size(int64_t constant) : Size(constant, Symbol::One) {}
  Size(int64_t coefficient, Symbol first, Symbol second = Symbol::One);
  static Size symbol(Symbol symbol) { return Size(1, symbol); }
  static Size tokens() { return symbol(Symbol::Tokens); }
  static Size rows() { return symbol(Symbol::Rows); }

  Size &operator+=(const Size &other);
  friend Size operator+(Size a, const Size &b) { return a += b; }
  friend Size operator*(const Size &a, int64_t factor);
  // The product with a symbol; every term must have room for one.
  friend Size operator*(const Size &a, Symbol symbol);
  friend bool operator==(const Size &, const Size &) = default;

  llvm::ArrayRef<SizeTerm> getTerms() const { return terms; }
  bool isZero() const { return terms.empty(); }
  std::optional<int64_t> getConstant() const;
  // Every coefficient rounded up to a multiple of `alignment`: an upper bound for symbols >= 0, itself a multiple.
  Size alignedTo(int64_t alignment) const;
  // Term by term the larger coefficient: covers both if neither has a negative one.
  Size orMore(const Size &other) const;
  // True if no term of this exceeds its counterpart in `other`: then this <= other for all symbols >= 0, if `other`
  // has no negative coefficient.
  bool isCoveredBy(const Size &other) const;
  // values[s] is the value of symbol s, symbolCount of them ([0] is not looked at). Nothing on overflow.
  std::optional<int64_t> evaluate(llvm::ArrayRef<int64_t> values) const;
  // "64 + 256 T + 4 S B"; "0" for none.
  std::string toString() const;

  static Size fromAttr(SizeAttr attribute);
  SizeAttr toAttr(mlir::MLIRContext *context) const;

private:
  llvm::SmallVector<SizeTerm, 2> terms;
};

} // namespace llmc::exec
