// Polynomials over a dispatch's scalars: extents, item counts and constraints of a kernel's table entry.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace llmc::cpu {

// A sum of coefficient x scalar x scalar x scalar, as llmrt_expression holds it.
class Expression {
public:
  struct Term {
    int64_t coefficient;
    std::array<int16_t, 3> scalars; // ascending, -1 first where there is none
    bool operator==(const Term &) const = default;
  };

  Expression() = default;
  Expression(int64_t constant) {
    if (constant != 0) terms_.push_back({constant, {-1, -1, -1}});
  }
  static Expression scalar(int index) {
    Expression e;
    e.terms_.push_back({1, {-1, -1, int16_t(index)}});
    return e;
  }

  const std::vector<Term> &terms() const { return terms_; }
  friend Expression operator+(Expression a, const Expression &b);
  friend Expression operator*(const Expression &a, const Expression &b);
  friend Expression operator-(Expression a, const Expression &b) { return a + b * Expression(-1); }

private:
  void add(Term term);
  std::vector<Term> terms_; // at most one a set of scalars; no zero coefficient
};

} // namespace llmc::cpu
