// Sets of Unicode scalar values, and how their members look in UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace llmrt::grammar {

struct CharRange {
  uint32_t first = 0, last = 0; // both included
};

// Surrogates (U+D800 to U+DFFF) are never members: UTF-8 cannot write them.
class CharSet {
public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);

  void add(uint32_t first, uint32_t last);
  void add(uint32_t point) { add(point, point); }
  void add(const CharSet &other);
  void remove(const CharSet &other);
  CharSet complement() const;
  bool contains(uint32_t point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CharRange> &ranges() const { return ranges_; } // sorted, apart from each other

private:
  std::vector<CharRange> ranges_;
};

// From one to four ranges of bytes, one after the other.
struct ByteSequence {
  struct Range {
    uint8_t first = 0, last = 0;
  };
  std::array<Range, 4> ranges;
  int length = 0;
};

// Appends byte sequences that together spell exactly the range's characters.
void append_utf8_sequences(CharRange range, std::vector<ByteSequence> &out);

} // namespace llmrt::grammar
