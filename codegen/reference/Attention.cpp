#include "codegen/reference/Oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace llmc::reference {
namespace {

struct Head {
  const AttentionSpec &spec;
  Input key, value;
  int64_t kvHead;
  double slope;

  double score(const double *query, int64_t position, int64_t k) const {
    const double *row = &key[(k * spec.kvHeads + kvHead) * spec.keyDim];
    double sum = 0;
    for (int64_t i = 0; i < spec.keyDim; ++i)
      sum += query[i] * row[i];
    sum *= spec.scale;
    if (spec.softCap > 0)
      sum = spec.softCap * std::tanh(sum / spec.softCap);
    return sum + slope * double(k - position);
  }

  // One query over keys [first, position]; `sink` is a score without a value, -inf for none.
  void attend(const double *query, int64_t position, double sink, double *out) const {
    int64_t first = spec.window ? std::max<int64_t>(0, position + 1 - spec.window) : 0;
    std::vector<double> scores;
    double largest = sink;
    for (int64_t k = first; k <= position; ++k) {
      scores.push_back(score(query, position, k));
      largest = std::max(largest, scores.back());
    }
    double total = std::exp(sink - largest);
    for (double &s : scores)
      total += s = std::exp(s - largest);
    std::fill_n(out, spec.valueDim, 0.0);
    for (int64_t k = first; k <= position; ++k) {
      const double *row = &value[(k * spec.kvHeads + kvHead) * spec.valueDim];
      for (int64_t i = 0; i < spec.valueDim; ++i)
        out[i] += scores[k - first] / total * row[i];
    }
  }
};

} // namespace

Values attention(const AttentionSpec &spec, Input query, llvm::ArrayRef<int64_t> positions, Input key, Input value,
                 Input sinks, Input alibi) {
  assert(query.size() == positions.size() * spec.heads * spec.keyDim);
  Values result(positions.size() * spec.heads * spec.valueDim);
  int64_t keys = int64_t(key.size()) / (spec.kvHeads * spec.keyDim);
  for (int64_t h = 0; h < spec.heads; ++h) {
    Head head{spec, key, value, h / (spec.heads / spec.kvHeads), alibi.empty() ? 0 : alibi[h]};
    double sink = sinks.empty() ? -INFINITY : sinks[h];
    for (size_t row = 0; row < positions.size(); ++row) {
      assert(positions[row] < keys && "every key up to the query's own must be there");
      head.attend(&query[(row * spec.heads + h) * spec.keyDim], positions[row], sink,
                  &result[(row * spec.heads + h) * spec.valueDim]);
    }
  }
  (void)keys;
  return result;
}

} // namespace llmc::reference
