#include "runtime/text/grammar/gbnf.h"

#include "runtime/text/grammar/rule_names.h"
#include "runtime/text/grammar/source.h"

#include <optional>
#include <vector>

namespace llmrt::grammar {

std::string line_and_column(std::string_view text, size_t position) {
  size_t line = 1, start = 0;
  for (size_t i = 0; i < position && i < text.size(); ++i)
    if (text[i] == '\n') {
      ++line;
      start = i + 1;
    }
  return "line " + std::to_string(line) + ", column " + std::to_string(position - start + 1);
}

namespace {

constexpr int kMaxGroups = 100; // nested

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

class GbnfParser {
public:
  explicit GbnfParser(std::string_view text) : text_(text), in_(text), names_(grammar_) {}

  Result<Grammar> run() {
    space(true);
    while (!failed() && !in_.at_end()) rule();
    if (!failed() && !names_.knows("root")) fail("there is no rule named root");
    if (failed()) return *error_;
    if (Status status = grammar_.check(); !status.ok()) return status;
    grammar_.set_root(names_["root"]);
    return std::move(grammar_);
  }

private:
  bool failed() const { return error_.has_value(); }
  NodeId fail(std::string what) {
    if (!error_)
      error_ = Status(StatusCode::kInvalidArgument,
                      "grammar, " + line_and_column(text_, in_.position()) + ": " + std::move(what));
    return 0;
  }

  // White space and comments. A rule ends with its line unless a group is open or the next line starts with `|`.
  void space(bool lines) {
    while (!in_.at_end()) {
      const char c = in_.peek();
      if (c == '#') {
        while (!in_.at_end() && in_.peek() != '\n') in_.skip();
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        in_.skip();
      } else if ((c == '\n' || c == '\r') && alternative_follows()) {
        return;
      } else {
        break;
      }
    }
  }
  bool alternative_follows() {
    const size_t here = in_.position();
    space(true);
    if (in_.peek() == '|') return true;
    in_.seek(here);
    return false;
  }

  std::string_view name() {
    const size_t begin = in_.position();
    while (is_name_char(in_.peek())) in_.skip();
    return in_.since(begin);
  }

  void rule() {
    const std::string_view named = name();
    if (named.empty()) return void(fail("the name of a rule is expected"));
    space(false);
    if (!in_.take("::=")) return void(fail("::= is expected after the name of a rule"));
    space(true);
    const RuleId id = names_[named];
    if (grammar_.defined(id)) return void(fail("the rule " + std::string(named) + " is defined twice"));
    const NodeId body = alternatives(0);
    if (failed()) return;
    grammar_.define(id, body);
    if (!in_.at_end() && in_.peek() != '\n' && in_.peek() != '\r')
      return void(fail("the end of the line is expected after the rule " + std::string(named)));
    space(true);
  }

  NodeId alternatives(int depth) {
    std::vector<NodeId> out{sequence(depth)};
    while (!failed() && in_.take("|")) {
      space(true);
      out.push_back(sequence(depth));
    }
    return failed() ? 0 : grammar_.choice(out);
  }

  NodeId sequence(int depth) {
    std::vector<NodeId> parts;
    while (!failed() && !in_.at_end()) {
      const char c = in_.peek();
      if (c != '"' && c != '[' && c != '(' && c != '.' && !is_name_char(c)) break;
      NodeId node = item(c, depth);
      space(depth > 0);
      if (!failed()) node = quantified(node, depth);
      parts.push_back(node);
    }
    if (in_.peek() == '<' || in_.peek() == '!') return fail("tokens in a grammar are not supported; write their text");
    return failed() ? 0 : grammar_.sequence(parts);
  }

  NodeId item(char c, int depth) {
    if (c == '"') return literal();
    if (c == '[') return char_class();
    if (c == '.') return in_.skip(), grammar_.chars(CharSet().complement());
    if (c != '(') return grammar_.rule(names_[name()]);
    if (depth >= kMaxGroups) return fail("groups are nested too deep");
    in_.skip();
    space(true);
    const NodeId out = alternatives(depth + 1);
    if (!failed() && !in_.take(")")) return fail("a ) is expected");
    return out;
  }

  NodeId quantified(NodeId node, int depth) {
    while (!failed()) {
      uint32_t least = 1, most = 1;
      if (in_.take("*")) least = 0, most = kUnbounded;
      else if (in_.take("+")) most = kUnbounded;
      else if (in_.take("?")) least = 0;
      else if (in_.take("{")) braces(least, most);
      else break;
      if (failed()) break;
      node = grammar_.repeat(node, least, most);
      space(depth > 0);
    }
    return node;
  }

  void braces(uint32_t &least, uint32_t &most) {
    space(true);
    const bool has_least = in_.number(least);
    if (!has_least) least = 0;
    most = least;
    space(true);
    if (in_.take(",")) {
      space(true);
      if (!in_.number(most)) most = kUnbounded;
      space(true);
    } else if (!has_least) {
      return void(fail("a number is expected in { }"));
    }
    if (!in_.take("}")) fail("a } is expected; a repetition is at most 9999999");
    else if (most < least) fail("{m,n} with m above n");
  }

  NodeId literal() {
    in_.skip();
    std::string bytes;
    while (!failed() && !in_.at_end() && in_.peek() != '"') utf8_append(bytes, character());
    if (!failed() && !in_.take("\"")) return fail("a \" is not closed");
    return failed() ? 0 : grammar_.literal(bytes);
  }

  NodeId char_class() {
    in_.skip();
    const bool negated = in_.take("^");
    CharSet set;
    while (!failed() && !in_.at_end() && in_.peek() != ']') {
      const uint32_t first = character();
      uint32_t last = first;
      if (!failed() && in_.peek() == '-' && in_.peek(1) != ']') {
        in_.skip();
        if (in_.at_end()) break;
        last = character();
      }
      if (last < first) fail("a range ends before it starts");
      set.add(first, last);
    }
    if (!failed() && !in_.take("]")) return fail("a [ is not closed");
    if (failed()) return 0;
    return grammar_.chars(negated ? set.complement() : set);
  }

  uint32_t character() {
    if (!in_.take("\\")) return in_.character();
    static constexpr std::string_view kNames = "tnr\\\"[]-^/", kMeanings = "\t\n\r\\\"[]-^/";
    if (const size_t at = in_.at_end() ? kNames.npos : kNames.find(in_.peek()); at != kNames.npos) {
      in_.skip();
      return uint32_t(kMeanings[at]);
    }
    const char kind = in_.peek();
    const size_t width = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    uint32_t point = 0;
    in_.skip();
    const bool ok = width > 0 && in_.hex(width, width, point) && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return ok ? point : fail("this escape is not known");
  }

  const std::string_view text_;
  Source in_;
  Grammar grammar_;
  RuleNames names_;
  std::optional<Status> error_;
};

} // namespace

Result<Grammar> gbnf_grammar(std::string_view text) {
  if (const size_t at = utf8_invalid_at(text); at != std::string_view::npos)
    return Status(StatusCode::kInvalidArgument, "the grammar is not UTF-8: byte " + std::to_string(at));
  return GbnfParser(text).run();
}

} // namespace llmrt::grammar
