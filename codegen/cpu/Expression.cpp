#include "codegen/cpu/Expression.h"

#include <algorithm>
#include <cassert>

namespace llmc::cpu {

void Expression::add(Term term) {
  for (Term &own : terms_)
    if (own.scalars == term.scalars) {
      own.coefficient += term.coefficient;
      if (own.coefficient == 0) std::erase(terms_, own);
      return;
    }
  if (term.coefficient != 0) terms_.push_back(term);
}

Expression operator+(Expression a, const Expression &b) {
  for (const Expression::Term &term : b.terms_) a.add(term);
  return a;
}

Expression operator*(const Expression &a, const Expression &b) {
  Expression product;
  for (const Expression::Term &x : a.terms_)
    for (const Expression::Term &y : b.terms_) {
      std::array<int16_t, 6> all;
      std::copy(x.scalars.begin(), x.scalars.end(), all.begin());
      std::copy(y.scalars.begin(), y.scalars.end(), all.begin() + 3);
      std::sort(all.begin(), all.end());
      assert(all[2] == -1 && "a term has at most three scalars");
      product.add({x.coefficient * y.coefficient, {all[3], all[4], all[5]}});
    }
  return product;
}

} // namespace llmc::cpu
