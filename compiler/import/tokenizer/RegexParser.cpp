#include "compiler/import/tokenizer/RegexParser.h"

#include "runtime/text/normal/utf8.h"
#include "llvm/ADT/STLExtras.h"

namespace llmc::tokenizer {

using llmrt::schema::PatternOp;
using Kind = RegexNode::Kind;

namespace {
constexpr unsigned kMaxDepth = 100;
constexpr uint32_t kMaxRepeats = 1000;

std::unique_ptr<RegexNode> makeNode(Kind kind) {
  auto node = std::make_unique<RegexNode>();
  node->kind = kind;
  return node;
}

// Letters like the German sharp s, whose full case folding (Unicode's CaseFolding.txt, status F) has several letters.
CharSet foldsToSeveral() {
  return CharSet::of({{0xdf, 0xdf},     {0x130, 0x130},   {0x149, 0x149},   {0x1f0, 0x1f0},   {0x390, 0x390},
                      {0x3b0, 0x3b0},   {0x587, 0x587},   {0x1e96, 0x1e9a}, {0x1e9e, 0x1e9e}, {0x1f50, 0x1f50},
                      {0x1f52, 0x1f52}, {0x1f54, 0x1f54}, {0x1f56, 0x1f56}, {0x1f80, 0x1faf}, {0x1fb2, 0x1fb4},
                      {0x1fb6, 0x1fb7}, {0x1fbc, 0x1fbc}, {0x1fc2, 0x1fc4}, {0x1fc6, 0x1fc7}, {0x1fcc, 0x1fcc},
                      {0x1fd2, 0x1fd3}, {0x1fd6, 0x1fd7}, {0x1fe2, 0x1fe4}, {0x1fe6, 0x1fe7}, {0x1ff2, 0x1ff4},
                      {0x1ff6, 0x1ff7}, {0x1ffc, 0x1ffc}, {0xfb00, 0xfb06}, {0xfb13, 0xfb17}});
}

std::unique_ptr<RegexNode> makeAssert(PatternOp op) {
  auto node = makeNode(Kind::Assert);
  node->assertion = op;
  return node;
}
} // namespace

bool RegexNode::canBeEmpty() const {
  auto empty = [](const auto &child) { return child->canBeEmpty(); };
  switch (kind) {
  case Kind::Set: return false;
  case Kind::Concat: return llvm::all_of(children, empty);
  case Kind::Alternate: return llvm::any_of(children, empty);
  case Kind::Repeat: return least == 0 || children[0]->canBeEmpty();
  case Kind::Atomic: return children[0]->canBeEmpty();
  default: return true;
  }
}

std::optional<uint32_t> RegexNode::width() const {
  switch (kind) {
  case Kind::Set: return 1;
  case Kind::Repeat: {
    auto one = children[0]->width();
    return one && least == most ? std::optional<uint32_t>(*one * least) : std::nullopt;
  }
  case Kind::Atomic: return children[0]->width();
  case Kind::Concat: {
    uint32_t sum = 0;
    for (const auto &child : children) {
      auto one = child->width();
      if (!one) return std::nullopt;
      sum += *one;
    }
    return sum;
  }
  case Kind::Alternate: {
    auto first = children[0]->width();
    bool same = llvm::all_of(children, [&](const auto &child) { return child->width() == first; });
    return same ? first : std::nullopt;
  }
  default: return 0;
  }
}

RegexParser::RegexParser(llvm::StringRef source, WordChars word) : word(word) {
  std::string_view text(source.data(), source.size());
  while (!text.empty() && wellFormed) {
    llmrt::Utf8Char c = llmrt::utf8_first(text);
    wellFormed = c.valid;
    points.push_back(c.point);
    text.remove_prefix(c.length);
  }
}

llvm::Error RegexParser::fail(const llvm::Twine &what) const {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what + " at character " + llvm::Twine(at + 1));
}

bool RegexParser::take(uint32_t point) {
  if (atEnd() || points[at] != point) return false;
  ++at;
  return true;
}

bool RegexParser::looksAt(llvm::StringRef ascii) const {
  for (size_t i = 0; i < ascii.size(); ++i)
    if (peek(i) != uint32_t(ascii[i])) return false;
  return true;
}

bool RegexParser::take(llvm::StringRef ascii) {
  if (!looksAt(ascii)) return false;
  at += ascii.size();
  return true;
}

RegexParser::Node RegexParser::setNode(CharSet set) const {
  auto node = makeNode(Kind::Set);
  node->set = std::move(set);
  return node;
}

llvm::Expected<std::unique_ptr<RegexNode>> RegexParser::parse() {
  if (!wellFormed) return fail("not UTF-8");
  auto node = parseAlternation();
  if (node && !atEnd()) return fail("unmatched ')'");
  return node;
}

RegexParser::ExpectedNode RegexParser::parseAlternation() {
  if (++depth > kMaxDepth) return fail("groups nested more than 100 deep");
  Flags outer = flags;
  auto alternatives = makeNode(Kind::Alternate);
  do {
    auto sequence = parseSequence();
    if (!sequence) return sequence.takeError();
    alternatives->children.push_back(std::move(*sequence));
  } while (take('|'));
  flags = outer;
  --depth;
  if (alternatives->children.size() == 1) return std::move(alternatives->children[0]);
  return alternatives;
}

void RegexParser::skipExtended() {
  while (flags.extended && !atEnd()) {
    if (peek() == '#') {
      while (!atEnd() && peek() != '\n') ++at;
    } else if (peek() == ' ' || (peek() >= 9 && peek() <= 13)) {
      ++at;
    } else {
      return;
    }
  }
}

RegexParser::ExpectedNode RegexParser::parseSequence() {
  auto sequence = makeNode(Kind::Concat);
  for (skipExtended(); !atEnd() && peek() != '|' && peek() != ')'; skipExtended()) {
    auto item = parseQuantified();
    if (!item) return item.takeError();
    sequence->children.push_back(std::move(*item));
  }
  if (sequence->children.size() == 1) return std::move(sequence->children[0]);
  return sequence;
}

RegexParser::ExpectedNode RegexParser::parseQuantified() {
  auto atom = parseAtom();
  if (!atom) return atom;
  for (unsigned quantifiers = 0;; ++quantifiers) {
    if (quantifiers > kMaxDepth) return fail("too many quantifiers in a row");
    skipExtended();
    auto more = parseQuantifier(*atom);
    if (!more) return more.takeError();
    if (!*more) return atom;
  }
}

// {n}, {n,}, {,m}, {n,m}; anything else after '{' is ordinary text.
bool RegexParser::parseBounds(uint32_t &least, uint32_t &most) {
  size_t start = at++;
  auto number = [&](uint32_t &value) {
    size_t first = at;
    for (value = 0; peek() >= '0' && peek() <= '9'; ++at) value = std::min(value * 10 + (peek() - '0'), 1000000u);
    return at > first;
  };
  bool hasLeast = number(least), hasMost = false;
  bool comma = take(',');
  if (comma) hasMost = number(most);
  if ((!hasLeast && !hasMost) || !take('}')) {
    at = start;
    return false;
  }
  if (!comma) most = least;
  else if (!hasMost) most = kNoLimit;
  return true;
}

llvm::Expected<bool> RegexParser::parseQuantifier(Node &atom) {
  uint32_t least = 0, most = kNoLimit;
  bool braces = peek() == '{' && !atEnd();
  if (take('*')) {
  } else if (take('+')) {
    least = 1;
  } else if (take('?')) {
    most = 1;
  } else if (!braces || !parseBounds(least, most)) {
    return false;
  }
  if (least > kMaxRepeats || (most != kNoLimit && most > kMaxRepeats)) return fail("more than 1000 repeats");
  if (least > most) return fail("unsupported: a repeat whose least is above its most");
  auto repeat = makeNode(Kind::Repeat);
  repeat->least = least;
  repeat->most = most;
  if (braces && least == most && peek() == '?') return fail("unsupported: '?' after {n}");
  if (take('?')) repeat->mode = RegexNode::Mode::Lazy;
  else if (!braces && take('+')) repeat->mode = RegexNode::Mode::Possessive;
  bool holds = atom->kind == Kind::Assert || atom->kind == Kind::Look || atom->kind == Kind::Empty;
  if (atom->canBeEmpty() && most == kNoLimit && !holds)
    return fail("unsupported: an endless repeat of something that may be empty");
  if (holds) repeat->least = repeat->most = std::min(least, 1u); // once says it all
  repeat->children.push_back(std::move(atom));
  atom = std::move(repeat);
  return true;
}

RegexParser::ExpectedNode RegexParser::parseAtom() {
  uint32_t c = peek();
  switch (c) {
  case '(': return parseGroup();
  case '\\': return parseEscape();
  case '[': {
    auto set = parseClass();
    if (!set) return set.takeError();
    return setNode(std::move(*set));
  }
  case '.': ++at; return setNode(flags.dotAll ? CharSet::all() : CharSet::one('\n').inverted());
  case '^': ++at; return makeAssert(PatternOp::LineStart);
  case '$': ++at; return makeAssert(PatternOp::LineEnd);
  case '*':
  case '+':
  case '?': return fail("nothing to repeat");
  default: break;
  }
  ++at;
  return parseLiteral(c);
}

RegexParser::ExpectedNode RegexParser::parseLiteral(uint32_t point) {
  CharSet set = CharSet::one(point);
  if (!flags.ignoreCase) return setNode(std::move(set));
  if (foldsToSeveral().contains(point)) return fail("unsupported: ignoring the case of a letter that folds to several");
  return setNode(set.ignoringCase());
}

RegexParser::ExpectedNode RegexParser::parseBody(Kind kind, bool behind, bool negated) {
  auto body = parseAlternation();
  if (!body) return body;
  if (!take(')')) return fail("a group without its ')'");
  if (kind == Kind::Concat) return body;
  auto node = makeNode(kind);
  node->behind = behind;
  node->negated = negated;
  node->children.push_back(std::move(*body));
  return node;
}

RegexParser::ExpectedNode RegexParser::parseGroup() {
  if (take("(?:")) return parseBody(Kind::Concat, false, false);
  if (take("(?=")) return parseBody(Kind::Look, false, false);
  if (take("(?!")) return parseBody(Kind::Look, false, true);
  if (take("(?<=")) return parseBody(Kind::Look, true, false);
  if (take("(?<!")) return parseBody(Kind::Look, true, true);
  if (take("(?>")) return parseBody(Kind::Atomic, false, false);
  if (take("(?#")) {
    while (!atEnd() && peek() != ')') ++at;
    if (!take(')')) return fail("a comment without its ')'");
    return makeNode(Kind::Empty);
  }
  if (take("(?<")) { // a named group: nothing can refer to it
    while (!atEnd() && peek() != '>' && peek() != ')') ++at;
    if (!take('>')) return fail("a group's name without its '>'");
    return parseBody(Kind::Concat, false, false);
  }
  if (take("(?")) return parseOptions();
  if (looksAt("(*")) return fail("unsupported: a callout");
  take('(');
  return parseBody(Kind::Concat, false, false);
}

// (?i:...) for a group; (?i) for the rest of the group around it, its further alternatives included.
RegexParser::ExpectedNode RegexParser::parseOptions() {
  Flags outer = flags;
  bool on = true;
  for (; !atEnd() && peek() != ':' && peek() != ')'; ++at) {
    switch (peek()) {
    case '-': on = false; break;
    case 'i': flags.ignoreCase = on; break;
    case 'm': flags.dotAll = on; break;
    case 'x': flags.extended = on; break;
    default: return fail("unsupported: this kind of group");
    }
  }
  if (take(':')) {
    auto body = parseBody(Kind::Concat, false, false);
    flags = outer;
    return body;
  }
  if (!take(')')) return fail("a group without its ')'");
  auto rest = parseAlternation();
  flags = outer;
  return rest;
}

RegexParser::ExpectedNode RegexParser::parseEscape() {
  switch (peek(1)) {
  case 'A': at += 2; return makeAssert(PatternOp::TextStart);
  case 'z': at += 2; return makeAssert(PatternOp::TextEnd);
  case 'Z': at += 2; return makeAssert(PatternOp::TextEndOrNewline);
  case 'b': at += 2; return makeAssert(PatternOp::WordBoundary);
  case 'B': at += 2; return makeAssert(PatternOp::NotWordBoundary);
  case 'N': at += 2; return setNode(CharSet::one('\n').inverted());
  case 'O': at += 2; return setNode(CharSet::all());
  default: break;
  }
  auto set = parseSetEscape();
  if (!set) return set.takeError();
  if (*set) return setNode(std::move(**set));
  if (llvm::StringRef("123456789kgKRXGyY").contains(char(std::min(peek(1), 127u))) && peek(1) < 128)
    return fail("unsupported: \\" + llvm::Twine(char(peek(1))));
  auto point = parseCharEscape();
  if (!point) return point.takeError();
  return parseLiteral(*point);
}

} // namespace llmc::tokenizer
