#include "runtime/artifact/polynomial.h"

#include <algorithm>

namespace llmrt {

std::optional<int64_t> checked_multiply(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product))
    return std::nullopt;
  return product;
}

std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum))
    return std::nullopt;
  return sum;
}

bool Monomial::multiply(schema::Symbol symbol) {
  if (symbol == schema::Symbol::One)
    return true;
  if (symbols_[2] != 0)
    return false;
  symbols_[2] = uint8_t(symbol);
  std::sort(symbols_.begin(), symbols_.end(), std::greater<>());
  return true;
}

Polynomial::Polynomial(const schema::Size *size) {
  if (!size || !size->terms())
    return;
  for (const schema::Term *term : *size->terms()) {
    Monomial monomial(term->a());
    if (!monomial.multiply(term->b()))
      overflow_ = true;
    add(term->coefficient(), monomial);
  }
}

void Polynomial::add(int64_t coefficient, Monomial monomial) {
  auto at = std::lower_bound(terms_.begin(), terms_.end(), monomial,
                             [](const auto &term, Monomial key) { return term.first < key; });
  if (at == terms_.end() || at->first != monomial) {
    if (coefficient != 0)
      terms_.insert(at, {monomial, coefficient});
    return;
  }
  overflow_ |= __builtin_add_overflow(at->second, coefficient, &at->second);
  if (at->second == 0)
    terms_.erase(at);
}

void Polynomial::add(const Polynomial &other) {
  overflow_ |= other.overflow_;
  for (const auto &[monomial, coefficient] : other.terms_)
    add(coefficient, monomial);
}

bool Polynomial::non_negative() const {
  return !overflow_ && std::all_of(terms_.begin(), terms_.end(), [](const auto &term) { return term.second >= 0; });
}

bool Polynomial::multiple_of(int64_t unit) const {
  return !overflow_ &&
         std::all_of(terms_.begin(), terms_.end(), [unit](const auto &term) { return term.second % unit == 0; });
}

bool Polynomial::dominates(const Polynomial &other) const {
  if (overflow_ || other.overflow_)
    return false;
  // Walks both ascending lists; a monomial that one lacks has coefficient 0 there.
  auto mine = terms_.begin();
  for (const auto &[monomial, coefficient] : other.terms_) {
    for (; mine != terms_.end() && mine->first < monomial; ++mine)
      if (mine->second < 0)
        return false;
    bool both = mine != terms_.end() && mine->first == monomial;
    if ((both ? mine->second : 0) < coefficient)
      return false;
    if (both)
      ++mine;
  }
  return std::all_of(mine, terms_.end(), [](const auto &term) { return term.second >= 0; });
}

Polynomial Polynomial::growing_part() const {
  Polynomial result;
  result.overflow_ = overflow_;
  for (const auto &term : terms_)
    if (term.second > 0 || term.first.is_constant())
      result.terms_.push_back(term);
  return result;
}

std::optional<int64_t> evaluate(const schema::Size *size, const SymbolValues &values) {
  int64_t sum = 0;
  if (!size || !size->terms())
    return sum;
  for (const schema::Term *term : *size->terms()) {
    int64_t product = term->coefficient();
    if (__builtin_mul_overflow(product, values[size_t(term->a())], &product) ||
        __builtin_mul_overflow(product, values[size_t(term->b())], &product) ||
        __builtin_add_overflow(sum, product, &sum))
      return std::nullopt;
  }
  return sum;
}

} // namespace llmrt
