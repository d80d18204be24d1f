// Hidden states of the requests that run, pooled as they come; RequestSpec::pooling.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

// A sum for each slot, taken once. Rows are added in the order of their positions, each column a chain of its own in
// double precision: chunks do not change the bits, and a single row comes out as it went in.
class HiddenPools {
public:
  HiddenPools(int64_t slots, int64_t width) : width_(width), counts_(size_t(width > 0 ? slots : 0)) {
    sums_.resize(counts_.size() * size_t(width));
  }

  int64_t width() const { return width_; }
  void begin(int slot);
  void add(int slot, std::span<const float> row); // [width]
  std::vector<float> take(int slot) const;        // the mean of the rows since begin()

private:
  int64_t width_; // 0: there are no hidden states
  std::vector<int64_t> counts_;
  std::vector<double> sums_; // [slots][width]
};

// Divides by the Euclidean norm, as embeddings are compared; a vector of zeros is left alone. The sum of squares is one
// chain in double precision.
void normalize(std::span<float> values);

} // namespace llmrt
