#include "compiler/import/tokenizer/CharSet.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Unicode.h"

#include <algorithm>

namespace llmc::tokenizer {

CharSet CharSet::of(std::initializer_list<Range> ranges) {
  CharSet set;
  for (const Range &r : ranges) set.add(r.first, r.second);
  return set;
}

void CharSet::add(uint32_t first, uint32_t last) {
  parts.push_back({first, last});
  sorted = false;
}

void CharSet::add(const CharSet &other) {
  parts.insert(parts.end(), other.parts.begin(), other.parts.end());
  sorted = false;
}

void CharSet::normalize() const {
  if (sorted) return;
  llvm::sort(parts);
  std::vector<Range> merged;
  for (const Range &r : parts) {
    if (!merged.empty() && r.first <= merged.back().second + 1)
      merged.back().second = std::max(merged.back().second, r.second);
    else merged.push_back(r);
  }
  parts = std::move(merged);
  sorted = true;
}

const std::vector<CharSet::Range> &CharSet::ranges() const {
  normalize();
  return parts;
}

CharSet CharSet::inverted() const {
  CharSet out;
  uint32_t next = 0;
  for (const Range &r : ranges()) {
    if (r.first > next) out.add(next, r.first - 1);
    next = r.second + 1;
  }
  if (next <= kLastPoint) out.add(next, kLastPoint);
  return out;
}

CharSet CharSet::intersected(const CharSet &other) const {
  CharSet out = inverted();
  out.add(other.inverted());
  return out.inverted();
}

bool CharSet::contains(uint32_t point) const {
  auto after = llvm::upper_bound(ranges(), Range{point, kLastPoint});
  return after != ranges().begin() && point <= std::prev(after)->second;
}

std::optional<uint32_t> CharSet::single() const {
  if (ranges().size() == 1 && parts[0].first == parts[0].second) return parts[0].first;
  return std::nullopt;
}

namespace {

// Characters that fold to another one, by what they fold to.
using Foldings = llvm::DenseMap<uint32_t, std::vector<uint32_t>>;

Foldings makeFoldings() {
  Foldings out;
  for (uint32_t c = 0; c <= kLastPoint; ++c) {
    uint32_t folded = uint32_t(llvm::sys::unicode::foldCharSimple(int(c)));
    if (folded != c) out[folded].push_back(c);
  }
  return out;
}

} // namespace

CharSet CharSet::ignoringCase() const {
  static const Foldings foldings = makeFoldings(); // constant, and too slow to make for every letter
  CharSet out = *this;
  for (const auto &[folded, others] : foldings) {
    bool member = contains(folded) || llvm::any_of(others, [&](uint32_t c) { return contains(c); });
    if (!member) continue;
    out.add(folded, folded);
    for (uint32_t c : others) out.add(c, c);
  }
  return out;
}

} // namespace llmc::tokenizer
