#include "runtime/text/grammar/char_set.h"

#include "runtime/text/normal/utf8.h"

#include <algorithm>
#include <string>

namespace llmrt::grammar {

namespace {

constexpr uint32_t kLast = 0x10ffff, kFirstSurrogate = 0xd800, kLastSurrogate = 0xdfff;

} // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) {
  for (CharRange range : ranges) add(range.first, range.last);
}

void CharSet::add(uint32_t first, uint32_t last) {
  last = std::min(last, kLast);
  if (first > last) return;
  if (first <= kLastSurrogate && last >= kFirstSurrogate) {
    if (first < kFirstSurrogate) add(first, kFirstSurrogate - 1);
    if (last > kLastSurrogate) add(kLastSurrogate + 1, last);
    return;
  }
  const auto at = std::partition_point(ranges_.begin(), ranges_.end(), [&](CharRange r) { return r.last + 1 < first; });
  auto end = at;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
    ++end;
  }
  ranges_.insert(ranges_.erase(at, end), CharRange{first, last});
}

void CharSet::add(const CharSet &other) {
  for (CharRange range : other.ranges_) add(range.first, range.last);
}

void CharSet::remove(const CharSet &other) {
  CharSet rest = complement();
  rest.add(other);
  *this = rest.complement();
}

CharSet CharSet::complement() const {
  CharSet out;
  uint32_t next = 0;
  for (CharRange range : ranges_) {
    if (range.first > next) out.add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLast) out.add(next, kLast);
  return out;
}

bool CharSet::contains(uint32_t point) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](CharRange r) { return r.first <= point && point <= r.last; });
}

// Splits until first and last differ, from some byte on, only in bytes that run over all of 80..BF.
void append_utf8_sequences(CharRange range, std::vector<ByteSequence> &out) {
  for (uint32_t limit : {0x7fu, 0x7ffu, 0xffffu})
    if (range.first <= limit && range.last > limit) {
      append_utf8_sequences({range.first, limit}, out);
      return append_utf8_sequences({limit + 1, range.last}, out);
    }
  for (int i = 1; range.last > 0x7f && i < 4; ++i) {
    const uint32_t low = (1u << (6 * i)) - 1;
    if ((range.first & ~low) == (range.last & ~low)) continue;
    uint32_t cut = 0; // the last of the first part
    if ((range.first & low) != 0) cut = range.first | low;
    else if ((range.last & low) != low) cut = (range.last & ~low) - 1;
    else continue;
    append_utf8_sequences({range.first, cut}, out);
    return append_utf8_sequences({cut + 1, range.last}, out);
  }
  std::string first, last;
  utf8_append(first, range.first);
  utf8_append(last, range.last);
  ByteSequence sequence;
  sequence.length = int(first.size());
  for (size_t i = 0; i < first.size(); ++i) sequence.ranges[i] = {uint8_t(first[i]), uint8_t(last[i])};
  out.push_back(sequence);
}

} // namespace llmrt::grammar
