#include "dialects/exec/Size.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cassert>
#include <tuple>

using namespace llmc::exec;

static constexpr const char *symbolNames[symbolCount] = {"",   "T",  "S",  "R",  "B",  "P0", "P1",
                                                         "P2", "P3", "P4", "P5", "P6", "P7", "H"};

llvm::StringRef llmc::exec::getSymbolName(Symbol symbol) { return symbolNames[unsigned(symbol)]; }

std::optional<Symbol> llmc::exec::parseSymbol(llvm::StringRef name) {
  for (unsigned i = 1; i < symbolCount; ++i)
    if (name == symbolNames[i])
      return Symbol(i);
  return std::nullopt;
}

Symbol llmc::exec::getPagesSymbol(unsigned group) {
  assert(group < maxCacheGroups);
  return Symbol(unsigned(Symbol::Pages0) + group);
}

Size::Size(int64_t coefficient, Symbol first, Symbol second) {
  if (coefficient != 0)
    terms.push_back({coefficient, std::min(first, second), std::max(first, second)});
}

static bool isBefore(const SizeTerm &a, const SizeTerm &b) {
  return std::tie(a.first, a.second) < std::tie(b.first, b.second);
}

static bool haveSameSymbols(const SizeTerm &a, const SizeTerm &b) { return a.first == b.first && a.second == b.second; }

Size &Size::operator+=(const Size &other) {
  llvm::SmallVector<SizeTerm, 2> added = other.terms; // a copy: `other` may be this
  for (const SizeTerm &term : added) {
    auto place = llvm::lower_bound(terms, term, isBefore);
    if (place == terms.end() || !haveSameSymbols(*place, term)) {
      terms.insert(place, term);
      continue;
    }
    place->coefficient += term.coefficient;
    if (place->coefficient == 0)
      terms.erase(place);
  }
  return *this;
}

namespace llmc::exec {
Size operator*(const Size &a, int64_t factor) {
  Size product;
  for (const SizeTerm &term : a.terms)
    product += Size(term.coefficient * factor, term.first, term.second);
  return product;
}

Size operator*(const Size &a, Symbol symbol) {
  Size product;
  for (const SizeTerm &term : a.terms) {
    assert(term.first == Symbol::One && "a term has at most two symbols");
    product += Size(term.coefficient, symbol, term.second);
  }
  return product;
}
} // namespace llmc::exec

std::optional<int64_t> Size::getConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() > 1 || terms[0].second != Symbol::One)
    return std::nullopt;
  return terms[0].coefficient;
}

Size Size::alignedTo(int64_t alignment) const {
  Size aligned;
  for (const SizeTerm &term : terms) {
    int64_t remainder = ((term.coefficient % alignment) + alignment) % alignment;
    aligned += Size(term.coefficient + (remainder ? alignment - remainder : 0), term.first, term.second);
  }
  return aligned;
}

Size Size::orMore(const Size &other) const {
  Size most = *this;
  for (const SizeTerm &term : other.terms) {
    auto own = llvm::find_if(terms, [&](const SizeTerm &t) { return haveSameSymbols(t, term); });
    int64_t coefficient = own == terms.end() ? 0 : own->coefficient;
    if (term.coefficient > coefficient)
      most += Size(term.coefficient - coefficient, term.first, term.second);
  }
  return most;
}

bool Size::isCoveredBy(const Size &other) const {
  return llvm::all_of(terms, [&](const SizeTerm &term) {
    auto match = llvm::find_if(other.terms, [&](const SizeTerm &t) { return haveSameSymbols(t, term); });
    return term.coefficient <= (match == other.terms.end() ? 0 : match->coefficient);
  });
}

std::optional<int64_t> Size::evaluate(llvm::ArrayRef<int64_t> values) const {
  assert(values.size() == symbolCount);
  int64_t sum = 0;
  for (const SizeTerm &term : terms) {
    int64_t product = term.coefficient;
    for (Symbol symbol : {term.first, term.second})
      if (symbol != Symbol::One && llvm::MulOverflow(product, values[unsigned(symbol)], product))
        return std::nullopt;
    if (llvm::AddOverflow(sum, product, sum))
      return std::nullopt;
  }
  return sum;
}

std::string Size::toString() const {
  std::string text;
  for (const SizeTerm &term : terms) {
    text += text.empty() ? "" : " + ";
    text += std::to_string(term.coefficient);
    for (Symbol symbol : {term.first, term.second})
      if (symbol != Symbol::One)
        text += " " + getSymbolName(symbol).str();
  }
  return text.empty() ? "0" : text;
}
