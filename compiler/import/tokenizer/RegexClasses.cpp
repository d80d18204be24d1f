// Escapes and bracketed classes of regular expressions.
#include "compiler/import/tokenizer/RegexParser.h"

#include "llvm/ADT/StringExtras.h"

namespace llmc::tokenizer {

// \d \D \s \S \w \W \h \H \p{..} \P{..}; none where the escape is of another kind (nothing is taken then).
llvm::Expected<std::optional<CharSet>> RegexParser::parseSetEscape() {
  CharSet set;
  uint32_t c = peek(1);
  switch (c) {
  case 'd':
  case 'D': set = decimalDigits(); break;
  case 's':
  case 'S': set = whiteSpace(); break;
  case 'w':
  case 'W': set = word == WordChars::Rust ? rustWord() : onigurumaWord(); break;
  case 'h':
  case 'H': set = CharSet::of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}}); break;
  case 'p':
  case 'P': {
    if (peek(2) != '{') return std::nullopt;
    auto property = parseProperty(c == 'P');
    if (!property) return property.takeError();
    return std::optional<CharSet>(std::move(*property));
  }
  default: return std::nullopt;
  }
  at += 2;
  bool negated = c >= 'A' && c <= 'Z';
  return std::optional<CharSet>(negated ? set.inverted() : set);
}

llvm::Expected<CharSet> RegexParser::parseProperty(bool negated) {
  size_t start = at;
  at += 3;
  if (take('^')) negated = !negated;
  std::string name;
  for (; !atEnd() && peek() != '}' && peek() < 128; ++at) name += char(peek());
  auto set = findProperty(name);
  if (!take('}') || !set) {
    at = start;
    return fail("unsupported: the property \\p{" + llvm::Twine(name) + "}");
  }
  return negated ? set->inverted() : *set;
}

llvm::Expected<uint32_t> RegexParser::parseCharEscape() {
  ++at;
  if (atEnd()) return fail("a '\\' at the end");
  uint32_t c = points[at++];
  auto hex = [&](unsigned least, unsigned most) -> llvm::Expected<uint32_t> {
    uint32_t value = 0;
    unsigned digits = 0;
    for (; digits < most && peek() < 128 && llvm::isHexDigit(char(peek())); ++digits, ++at)
      value = value * 16 + llvm::hexDigitValue(char(peek()));
    if (digits < least || value > kLastPoint) return fail("a character's code");
    return value;
  };
  switch (c) {
  case 't': return uint32_t('\t');
  case 'n': return uint32_t('\n');
  case 'r': return uint32_t('\r');
  case 'f': return uint32_t('\f');
  case 'v': return uint32_t('\v');
  case 'a': return uint32_t('\a');
  case 'e': return uint32_t(0x1b);
  case '0': return uint32_t(0);
  case 'u': return hex(4, 4);
  case 'x': {
    if (!take('{')) return hex(1, 2);
    auto value = hex(1, 8);
    if (value && !take('}')) return fail("\\x{ without its '}'");
    return value;
  }
  default: return c;
  }
}

// [:name:] inside a class; none where there is no such bracket.
std::optional<CharSet> RegexParser::parsePosixBracket() {
  if (!looksAt("[:")) return std::nullopt;
  size_t start = at;
  at += 2;
  bool negated = take('^');
  std::string name;
  for (; peek() < 128 && llvm::isAlpha(char(peek())) && !atEnd(); ++at) name += char(peek());
  auto set = findProperty(name);
  if (!set || !take(":]")) {
    at = start;
    return std::nullopt;
  }
  return negated ? set->inverted() : *set;
}

// One member: a set, or a character, which may begin a range and is then in `single`.
llvm::Expected<CharSet> RegexParser::parseClassItem(std::optional<uint32_t> &single) {
  single.reset();
  if (auto bracket = parsePosixBracket()) return *bracket;
  if (peek() == '[') return parseClass();
  if (peek() == '\\') {
    if (peek(1) == 'b') {
      at += 2;
      single = 8;
      return CharSet::one(8);
    }
    auto set = parseSetEscape();
    if (!set) return set.takeError();
    if (*set) return std::move(**set);
    if (peek(1) == 'R' || peek(1) == 'X') return fail("unsupported: an escape in a class");
    auto point = parseCharEscape();
    if (!point) return point.takeError();
    single = *point;
    return CharSet::one(*point);
  }
  single = points[at++];
  return CharSet::one(*single);
}

// Up to ']' or '&&'.
llvm::Error RegexParser::parseClassItems(CharSet &items, bool &intersects) {
  bool first = true;
  for (; !atEnd(); first = false) {
    intersects = false;
    if (take("&&")) {
      intersects = true;
      return llvm::Error::success();
    }
    if (peek() == ']' && !first) return llvm::Error::success();
    std::optional<uint32_t> low, high;
    auto item = parseClassItem(low);
    if (!item) return item.takeError();
    items.add(*item);
    bool isEdge = peek(1) == ']' || at + 1 >= points.size() || (peek(1) == '&' && peek(2) == '&');
    if (!low || peek() != '-' || isEdge) continue;
    ++at;
    auto end = parseClassItem(high);
    if (!end) return end.takeError();
    if (!high || *high < *low) return fail("a range in a class");
    items.add(*low, *high);
  }
  return fail("a class without its ']'");
}

llvm::Expected<CharSet> RegexParser::parseClass() {
  if (++depth > 100) return fail("classes nested too deep");
  ++at; // '['
  bool negated = take('^');
  CharSet result = CharSet::all();
  bool intersects = true;
  while (intersects) {
    CharSet items;
    if (llvm::Error error = parseClassItems(items, intersects)) return std::move(error);
    result = result.intersected(flags.ignoreCase ? items.ignoringCase() : items);
  }
  ++at; // ']'
  --depth;
  return negated ? result.inverted() : result;
}

} // namespace llmc::tokenizer
