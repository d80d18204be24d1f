// Sizes as polynomials in the step's symbols: what the verifier compares and the devices evaluate. Overflow is never
// wrapped: an overflowed polynomial says so and compares as false.
#pragma once

#include "runtime/schema/artifact_generated.h"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace llmrt {

inline constexpr int kSymbols = int(schema::Symbol::MAX) + 1;

// The value of each symbol; that of One is 1.
using SymbolValues = std::array<int64_t, kSymbols>;

// A product of up to three symbols. Equal products are equal values; the constant is Monomial().
class Monomial {
public:
  Monomial() = default;
  explicit Monomial(schema::Symbol a) : symbols_{uint8_t(a), 0, 0} {}
  // False if the product has more than three factors; the value is untouched then.
  bool multiply(schema::Symbol symbol);
  bool is_constant() const { return symbols_[0] == 0; }
  std::array<uint8_t, 3> symbols() const { return symbols_; } // largest first, 0 where there is none
  auto operator<=>(const Monomial &) const = default;

private:
  std::array<uint8_t, 3> symbols_{};
};

class Polynomial {
public:
  Polynomial() = default;
  explicit Polynomial(int64_t constant) { add(constant, Monomial()); }
  // A null size is zero. Symbols must have been checked.
  explicit Polynomial(const schema::Size *size);

  void add(int64_t coefficient, Monomial monomial);
  void add(const Polynomial &other);
  void set_overflow() { overflow_ = true; }

  bool overflowed() const { return overflow_; }
  bool non_negative() const;           // every coefficient
  bool multiple_of(int64_t unit) const; // every coefficient
  // This is at least `other` for all values >= 0 of the symbols, by comparing coefficients: it may say false where
  // the truth is true, never the other way round.
  bool dominates(const Polynomial &other) const;
  // The least polynomial by coefficients that is at least this one and does not fall in any symbol: negative
  // coefficients go, except the constant's.
  Polynomial growing_part() const;

  const std::vector<std::pair<Monomial, int64_t>> &terms() const { return terms_; }

private:
  std::vector<std::pair<Monomial, int64_t>> terms_; // ascending, no zero coefficients
  bool overflow_ = false;
};

// The value of a size (null: 0), or nothing if it does not fit into 63 bits. Symbols must have been checked.
std::optional<int64_t> evaluate(const schema::Size *size, const SymbolValues &values);

// a x b and a + b, or nothing on overflow.
std::optional<int64_t> checked_multiply(int64_t a, int64_t b);
std::optional<int64_t> checked_add(int64_t a, int64_t b);

} // namespace llmrt
