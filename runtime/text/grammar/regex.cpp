#include "runtime/text/grammar/regex.h"

#include "runtime/text/grammar/source.h"

#include <optional>
#include <vector>

namespace llmrt::grammar {

namespace {

constexpr int kMaxGroups = 100; // nested
constexpr size_t kMaxPattern = 16384; // bytes

CharSet digits() { return {{'0', '9'}}; }
CharSet word_chars() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
CharSet ascii_space() { return {{'\t', '\r'}, {' ', ' '}}; }
CharSet all_space() {
  CharSet out = ascii_space();
  out.add({{0x1c, 0x1f}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}});
  out.add({{0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}});
  return out;
}
CharSet any_but_newline() { return CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement(); }

struct NamedClass {
  std::string_view name;
  CharSet (*set)();
};
constexpr NamedClass kPosixClasses[] = {
    {"alpha", [] { return CharSet{{'A', 'Z'}, {'a', 'z'}}; }},
    {"digit", digits},
    {"alnum", [] { return CharSet{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}; }},
    {"upper", [] { return CharSet{{'A', 'Z'}}; }},
    {"lower", [] { return CharSet{{'a', 'z'}}; }},
    {"space", ascii_space},
    {"blank", [] { return CharSet{{' ', ' '}, {'\t', '\t'}}; }},
    {"punct", [] { return CharSet{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}; }},
    {"xdigit", [] { return CharSet{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}; }},
    {"word", word_chars},
    {"print", [] { return CharSet{{' ', '~'}}; }},
    {"graph", [] { return CharSet{{'!', '~'}}; }},
    {"cntrl", [] { return CharSet{{0, 0x1f}, {0x7f, 0x7f}}; }},
};

class RegexParser {
public:
  RegexParser(Grammar &grammar, std::string_view pattern, RegexMatch match, Spelling spelling)
      : grammar_(grammar), in_(pattern), match_(match), spelling_(spelling) {}

  Result<NodeId> run() {
    NodeId out = alternatives(true, 0);
    if (!failed() && !in_.at_end()) fail("there is a ) without its (");
    if (failed()) return *error_;
    return out;
  }

private:
  bool failed() const { return error_.has_value(); }
  NodeId fail(std::string what, StatusCode code = StatusCode::kInvalidArgument) {
    if (!error_) error_ = Status(code, "regular expression, byte " + std::to_string(in_.position()) + ": " + what);
    return 0;
  }
  NodeId unsupported(std::string what) {
    return fail(what + " cannot be used in a grammar", StatusCode::kUnsupported);
  }
  NodeId anything() { return grammar_.repeat(spell_one_of(grammar_, CharSet().complement(), spelling_), 0, kUnbounded); }

  NodeId alternatives(bool at_start, int depth) {
    std::vector<NodeId> out;
    do out.push_back(alternative(at_start, depth));
    while (!failed() && in_.take("|"));
    return failed() ? 0 : grammar_.choice(out);
  }

  NodeId alternative(bool at_start, int depth) {
    std::vector<NodeId> parts;
    bool begins = false, ends = false;
    while (!failed() && !in_.at_end() && in_.peek() != '|' && in_.peek() != ')') {
      if (in_.take("^") || in_.take("\\A")) {
        if (!at_start || !parts.empty()) return fail("^ is only supported at the start");
        begins = true;
        anchored(depth);
        continue;
      }
      if (in_.looking_at("$") || in_.looking_at("\\z") || in_.looking_at("\\Z")) {
        in_.skip(in_.peek() == '$' ? 1 : 2);
        if (!nothing_follows()) return fail("$ is only supported at the end");
        ends = true;
        anchored(depth);
        continue;
      }
      const uint32_t anchors = anchors_;
      const NodeId node = atom(at_start && parts.empty(), depth);
      parts.push_back(failed() ? 0 : quantified(node, anchors_ != anchors));
    }
    if (failed()) return 0;
    const bool search = match_ == RegexMatch::kSearch && depth == 0;
    if (search && !begins) parts.insert(parts.begin(), anything());
    if (search && !ends) parts.push_back(anything());
    return grammar_.sequence(parts);
  }

  // In a search only an alternative of the whole expression may be held to an end.
  void anchored(int depth) {
    ++anchors_;
    if (match_ == RegexMatch::kSearch && depth > 0) unsupported("^ or $ inside a group of a pattern that is searched for");
  }

  // After a `$`: only the ends of groups, and what stands beside them.
  bool nothing_follows() {
    const size_t here = in_.position();
    bool ok = true;
    for (int skipping = 0; ok && !in_.at_end();) {
      const char c = in_.peek();
      if (c == '\\') in_.skip(2);
      else if (c == '[' && skipping > 0) skip_class();
      else {
        in_.skip();
        if (c == '|' && skipping == 0) skipping = 1;
        else if (c == '(' && skipping > 0) ++skipping;
        else if (c == ')') skipping = skipping > 1 ? skipping - 1 : 0;
        else ok = skipping > 0;
        if (skipping == 0 && std::string_view("*+?{").find(in_.peek()) != std::string_view::npos && !in_.at_end())
          ok = false;
        continue;
      }
      ok = skipping > 0;
    }
    in_.seek(here);
    return ok;
  }
  void skip_class() {
    in_.skip();
    in_.take("^");
    in_.take("]");
    while (!in_.at_end() && in_.peek() != ']') in_.skip(in_.peek() == '\\' ? 2 : 1);
    in_.skip();
  }

  NodeId quantified(NodeId node, bool anchored) {
    uint32_t least = 1, most = 1;
    if (in_.take("*")) least = 0, most = kUnbounded;
    else if (in_.take("+")) most = kUnbounded;
    else if (in_.take("?")) least = 0;
    else if (in_.peek() != '{' || !braces(least, most)) return node;
    if (failed()) return 0;
    if (in_.peek() == '+') return unsupported("a possessive quantifier");
    in_.take("?"); // lazy: the same texts
    if (std::string_view("*+?").find(in_.peek()) != std::string_view::npos && !in_.at_end())
      return fail("a quantifier follows another one");
    if (anchored && most > 1) return fail("^ and $ cannot be repeated");
    return grammar_.repeat(node, least, most);
  }

  // False: the brace is a character.
  bool braces(uint32_t &least, uint32_t &most) {
    const size_t here = in_.position();
    in_.skip();
    const bool has_least = in_.number(least);
    if (!has_least) least = 0;
    most = least;
    if (in_.take(",")) {
      if (!in_.number(most)) most = kUnbounded;
      else if (most < least) fail("{m,n} with m above n");
    } else if (!has_least) {
      most = kUnbounded;
    }
    const bool is_quantifier = in_.take("}") && (has_least || most != kUnbounded);
    if (!is_quantifier) {
      in_.seek(here);
      least = most = 1;
    }
    return is_quantifier;
  }

  NodeId atom(bool at_start, int depth) {
    const char c = in_.peek();
    if (c == '(') return group(at_start, depth);
    if (c == '[') return char_class();
    if (c == '.') {
      in_.skip();
      return spell_one_of(grammar_, any_but_newline(), spelling_);
    }
    if (c == '*' || c == '+' || c == '?') return fail("there is nothing before the quantifier");
    CharSet set;
    if (c == '\\') escape(set, false);
    else set.add(in_.character());
    return failed() ? 0 : spell_one_of(grammar_, set, spelling_);
  }

  NodeId group(bool at_start, int depth) {
    if (depth >= kMaxGroups) return fail("groups are nested too deep");
    in_.skip();
    if (in_.take("?") && !in_.take(":")) {
      if (in_.looking_at("=") || in_.looking_at("!") || in_.looking_at("<=") || in_.looking_at("<!"))
        return unsupported("look-around");
      if (in_.looking_at(">")) return unsupported("an atomic group");
      in_.take("P");
      if (!in_.take("<")) return unsupported("a group with flags");
      while (!in_.at_end() && in_.peek() != '>') in_.skip();
      in_.skip();
    }
    const NodeId out = alternatives(at_start, depth + 1);
    if (!failed() && !in_.take(")")) return fail("a ( is not closed");
    return out;
  }

  NodeId char_class() {
    in_.skip();
    const bool negated = in_.take("^");
    CharSet set;
    bool first = true;
    while (!failed() && !in_.at_end() && (first || in_.peek() != ']')) {
      first = false;
      class_item(set);
    }
    if (!failed() && !in_.take("]")) return fail("a [ is not closed");
    if (failed()) return 0;
    if (negated) set = set.complement();
    return set.empty() ? fail("the class has no character") : spell_one_of(grammar_, set, spelling_);
  }

  void class_item(CharSet &set) {
    if (in_.looking_at("[:")) return posix_class(set);
    if (in_.looking_at("&&") || in_.looking_at("--")) {
      unsupported("a class made of classes");
      return;
    }
    CharSet one;
    const bool single = class_char(one);
    if (!failed() && single && in_.peek() == '-' && in_.peek(1) != ']' && in_.peek(1) != '\0') {
      in_.skip();
      CharSet last;
      if (!class_char(last) && !failed()) fail("a range ends in a class");
      if (failed()) return;
      const uint32_t from = one.ranges()[0].first, to = last.ranges()[0].first;
      if (from > to) fail("a range ends before it starts");
      one.add(from, to);
    }
    set.add(one);
  }

  // True: a single character.
  bool class_char(CharSet &set) {
    if (in_.peek() == '\\') return escape(set, true);
    set.add(in_.character());
    return true;
  }

  void posix_class(CharSet &set) {
    in_.skip(2);
    const bool negated = in_.take("^");
    for (const NamedClass &named : kPosixClasses)
      if (in_.looking_at(named.name) && in_.rest().substr(named.name.size()).starts_with(":]")) {
        in_.skip(named.name.size() + 2);
        set.add(negated ? named.set().complement() : named.set());
        return;
      }
    fail("no such class of characters");
  }

  // The escape's characters; true: exactly one, so that it may start or end a range.
  bool escape(CharSet &set, bool in_class) {
    in_.skip();
    if (in_.at_end()) return fail("a \\ at the end"), false;
    const char c = in_.peek();
    static constexpr std::string_view kNames = "tnrfva0e", kMeanings("\t\n\r\f\v\a\0\x1b", 8);
    if (const size_t at = kNames.find(c); at != kNames.npos && !(c == '0' && in_.peek(1) >= '0' && in_.peek(1) <= '9')) {
      in_.skip();
      set.add(uint32_t(kMeanings[at]));
      return true;
    }
    switch (c) {
    case 'd': return in_.skip(), set.add(digits()), false;
    case 'D': return in_.skip(), set.add(digits().complement()), false;
    case 'w': return in_.skip(), set.add(word_chars()), false;
    case 'W': return in_.skip(), set.add(word_chars().complement()), false;
    case 's': return in_.skip(), set.add(ascii_space()), false;
    case 'S': return in_.skip(), set.add(all_space().complement()), false;
    case 'x':
    case 'u':
    case 'U': return code_point(set);
    case 'b':
      if (!in_class) return unsupported("a word boundary"), false;
      return in_.skip(), set.add('\b'), true;
    default: break;
    }
    if (c >= '0' && c <= '9') return unsupported("a back reference"), false;
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return unsupported(std::string("\\") + c), false;
    set.add(in_.character());
    return true;
  }

  bool code_point(CharSet &set) {
    const char kind = in_.peek();
    in_.skip();
    uint32_t point = 0;
    const size_t width = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    const bool ok = in_.take("{") ? in_.hex(1, 6, point) && in_.take("}") : in_.hex(width, width, point);
    if (!ok) return fail("\\" + std::string(1, kind) + " needs hexadecimal digits"), false;
    uint32_t low = 0;
    if (point >= 0xd800 && point < 0xdc00 && in_.take("\\u") && in_.hex(4, 4, low) && low >= 0xdc00 && low < 0xe000)
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    set.add(point);
    if (set.empty()) return fail("no such character"), false;
    return true;
  }

  Grammar &grammar_;
  Source in_;
  const RegexMatch match_;
  const Spelling spelling_;
  uint32_t anchors_ = 0; // so far
  std::optional<Status> error_;
};

} // namespace

Result<NodeId> add_regex(Grammar &grammar, std::string_view pattern, RegexMatch match, Spelling spelling) {
  if (utf8_invalid_at(pattern) != std::string_view::npos)
    return Status(StatusCode::kInvalidArgument, "the regular expression is not UTF-8");
  if (pattern.size() > kMaxPattern)
    return Status(StatusCode::kInvalidArgument,
                  "the regular expression is longer than " + std::to_string(kMaxPattern) + " bytes");
  return RegexParser(grammar, pattern, match, spelling).run();
}

Result<Grammar> regex_grammar(std::string_view pattern) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  Result<NodeId> body = add_regex(grammar, pattern, RegexMatch::kWhole, Spelling::kPlain);
  if (!body.ok()) return body.status();
  grammar.define(root, *body);
  grammar.set_root(root);
  return grammar;
}

} // namespace llmrt::grammar
