// Sets of code points as sorted ranges, and the Unicode properties that tokenizers ask for.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace llmc::tokenizer {

constexpr uint32_t kLastPoint = 0x10ffff;

class CharSet {
public:
  using Range = std::pair<uint32_t, uint32_t>; // both ends included

  CharSet() = default;
  static CharSet of(std::initializer_list<Range> ranges);
  static CharSet one(uint32_t point) { return of({{point, point}}); }
  static CharSet all() { return of({{0, kLastPoint}}); }

  void add(uint32_t first, uint32_t last);
  void add(const CharSet &other);
  CharSet inverted() const;
  CharSet intersected(const CharSet &other) const;
  bool contains(uint32_t point) const;
  // Sorted, apart from each other.
  const std::vector<Range> &ranges() const;
  std::optional<uint32_t> single() const; // its one member, if it has one
  // With every character that differs from a member in case only (Unicode's simple case folding).
  CharSet ignoringCase() const;

private:
  void normalize() const;
  mutable std::vector<Range> parts;
  mutable bool sorted = true;
};

// A property by one of its names, as \p{...} takes them: general categories, a script, Alphabetic, Any, ASCII, and the
// POSIX brackets' names. Upper and lower case, '_', '-' and ' ' make no difference.
std::optional<CharSet> findProperty(llvm::StringRef name);

CharSet whiteSpace();      // Unicode's White_Space
CharSet decimalDigits();   // Nd
CharSet onigurumaWord();   // \w of the library's main regular expressions
CharSet rustWord();        // \w of its others
CharSet rustNumeric();     // char::is_numeric
CharSet punctuation();     // what the Punctuation and BERT pre-tokenizers split off
CharSet bertRemoved();     // control characters in BERT's sense, U+0000 and U+FFFD
CharSet bertNonspacing();  // marks that BERT's normalizer strips
CharSet combiningMarks();  // marks that StripAccents strips
CharSet chineseChars();    // BERT's CJK ideographs
CharSet graphemeExtending();  // UAX 29: Extend, ZWJ, SpacingMark
CharSet graphemeControl();    // Control
CharSet graphemePrepending(); // Prepend

struct LowercaseMapping {
  uint32_t from, first, second; // second 0: one character
};
std::vector<LowercaseMapping> lowercaseMappings();

} // namespace llmc::tokenizer
