// Damage for tests: the same for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmrt::testing {

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }

private:
  uint64_t state_;
};

// A few changes to bytes [first, last) of the file: flipped bits, bytes and words set to edges, short runs copied or
// zeroed. The length stays. Nothing happens to an empty range.
void mutate(std::vector<std::byte> &file, size_t first, size_t last, uint64_t seed);

} // namespace llmrt::testing
