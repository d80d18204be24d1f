#include "runtime/text/grammar/lark.h"

#include "runtime/text/grammar/regex.h"
#include "runtime/text/grammar/rule_names.h"
#include "runtime/text/grammar/source.h"

#include <optional>
#include <vector>

namespace llmrt::grammar {

namespace {

constexpr int kMaxGroups = 100; // nested

struct Common {
  std::string_view name;
  const char *regex;
};

// Of Lark's library `common`.
constexpr Common kCommon[] = {{"DIGIT", "[0-9]"}, {"HEXDIGIT", "[0-9a-fA-F]"}, {"INT", "[0-9]+"},
                              {"SIGNED_INT", "[+-]?[0-9]+"}, {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
                              {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
                              {"NUMBER", "[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
                              {"SIGNED_NUMBER",
                               "[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
                              {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\""}, {"LCASE_LETTER", "[a-z]"},
                              {"UCASE_LETTER", "[A-Z]"}, {"LETTER", "[A-Za-z]"}, {"WORD", "[A-Za-z]+"},
                              {"CNAME", "[A-Za-z_][A-Za-z_0-9]*"}, {"WS_INLINE", "[ \\t]+"}, {"WS", "[ \\t\\f\\r\\n]+"},
                              {"CR", "\\r"}, {"LF", "\\n"}, {"NEWLINE", "(\\r?\\n)+"}};

bool is_name_char(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

bool is_terminal(std::string_view name) {
  const size_t first = name.find_first_not_of('_');
  return first != name.npos && name[first] >= 'A' && name[first] <= 'Z';
}

class LarkParser {
public:
  explicit LarkParser(std::string_view text) : text_(text), in_(text), names_(grammar_) {}

  Result<Grammar> run() {
    ignored_ = grammar_.add_rule("%ignore");
    space(true);
    while (!failed() && !in_.at_end()) {
      if (in_.peek() == '%') directive();
      else rule();
      space(true);
    }
    if (!failed() && !names_.knows("start")) fail("there is no rule named start");
    if (failed()) return *error_;
    grammar_.define(ignored_, ignores_.empty() ? grammar_.empty()
                                               : grammar_.repeat(grammar_.choice(ignores_), 0, kUnbounded));
    const RuleId whole = grammar_.add_rule("the text");
    grammar_.define(whole, grammar_.sequence({grammar_.rule(ignored_), grammar_.rule(names_["start"])}));
    grammar_.set_root(whole);
    if (Status status = grammar_.check(); !status.ok()) return status;
    return std::move(grammar_);
  }

private:
  bool failed() const { return error_.has_value(); }
  NodeId fail(const std::string &what, StatusCode code = StatusCode::kInvalidArgument) {
    if (!error_) error_ = Status(code, "grammar, " + line_and_column(text_, in_.position()) + ": " + what);
    return 0;
  }
  NodeId unsupported(const std::string &what) { return fail(what + " is not supported", StatusCode::kUnsupported); }

  void space(bool lines) {
    while (!in_.at_end()) {
      const char c = in_.peek();
      if (in_.looking_at("//")) {
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

  void end_of_line() {
    space(false);
    if (!failed() && !in_.at_end() && in_.peek() != '\n' && in_.peek() != '\r') fail("the end of the line is expected");
  }

  void directive() {
    if (in_.take("%ignore")) {
      space(false);
      in_terminal_ = true;
      ignores_.push_back(alternatives(0));
      return end_of_line();
    }
    if (!in_.take("%import")) return void(unsupported("this directive"));
    space(false);
    if (!in_.take("common.")) return void(unsupported("importing from anything but common"));
    const bool many = in_.take("(");
    do {
      space(many);
      import(name());
      space(many);
    } while (!failed() && many && in_.take(","));
    if (many && !failed() && !in_.take(")")) fail("a ) is expected");
    end_of_line();
  }

  void import(std::string_view what) {
    std::string_view as = what;
    space(false);
    if (in_.take("->")) {
      space(false);
      as = name();
    }
    for (const Common &common : kCommon)
      if (common.name == what) return define(as, *add_regex(grammar_, common.regex, RegexMatch::kWhole, Spelling::kPlain));
    fail("there is no common." + std::string(what));
  }

  void define(std::string_view named, NodeId body) {
    const RuleId id = names_[named];
    if (grammar_.defined(id)) return void(fail(std::string(named) + " is defined twice"));
    grammar_.define(id, body);
  }

  void rule() {
    if (in_.peek() == '?' || in_.peek() == '!') in_.skip(); // about Lark's trees
    const std::string_view named = name();
    if (named.empty()) return void(fail("the name of a rule is expected"));
    if (in_.peek() == '{') return void(unsupported("a template"));
    uint32_t priority;
    if (in_.take(".") && !in_.number(priority)) return void(fail("a number is expected"));
    space(false);
    if (!in_.take(":")) return void(fail("a : is expected after the name of a rule"));
    space(true);
    in_terminal_ = is_terminal(named);
    const NodeId body = alternatives(0);
    if (failed()) return;
    define(named, body);
    end_of_line();
  }

  NodeId alternatives(int depth) {
    std::vector<NodeId> out;
    do {
      space(true);
      out.push_back(sequence(depth));
    } while (!failed() && in_.take("|"));
    return failed() ? 0 : grammar_.choice(out);
  }

  NodeId sequence(int depth) {
    std::vector<NodeId> parts;
    while (!failed() && !in_.at_end()) {
      const char c = in_.peek();
      if (c != '"' && c != '/' && c != '(' && c != '[' && !is_name_char(c)) break;
      const NodeId node = item(c, depth);
      parts.push_back(failed() ? 0 : quantified(node));
      space(depth > 0);
    }
    if (in_.take("->")) { // the name of a tree's node
      space(false);
      name();
      space(depth > 0);
    }
    return failed() ? 0 : grammar_.sequence(parts);
  }

  NodeId item(char c, int depth) {
    if (c == '"') return string();
    if (c == '/') return regex();
    if (c == '(' || c == '[') return group(c, depth);
    const std::string_view named = name();
    if (in_.peek() == '{') return unsupported("a template");
    const NodeId node = grammar_.rule(names_[named]);
    return is_terminal(named) ? terminal(node) : node;
  }

  // What may be ignored may stand after it.
  NodeId terminal(NodeId node) { return in_terminal_ ? node : grammar_.sequence({node, grammar_.rule(ignored_)}); }

  NodeId group(char open, int depth) {
    if (depth >= kMaxGroups) return fail("groups are nested too deep");
    in_.skip();
    const NodeId out = alternatives(depth + 1);
    if (failed()) return 0;
    if (!in_.take(open == '(' ? ")" : "]")) return fail("a group is not closed");
    return open == '(' ? out : grammar_.optional(out);
  }

  NodeId quantified(NodeId node) {
    if (in_.take("*")) return grammar_.repeat(node, 0, kUnbounded);
    if (in_.take("+")) return grammar_.repeat(node, 1, kUnbounded);
    if (in_.take("?")) return grammar_.optional(node);
    const size_t here = in_.position();
    space(false);
    if (!in_.take("~")) return in_.seek(here), node;
    uint32_t least = 0, most = 0;
    space(false);
    if (!in_.number(least)) return fail("a number is expected after ~");
    most = least;
    if (in_.take("..") && !in_.number(most)) return fail("a number is expected after ..");
    if (most < least) return fail("~m..n with m above n");
    return grammar_.repeat(node, least, most);
  }

  // The characters of a quoted text.
  std::vector<uint32_t> quoted() {
    std::vector<uint32_t> out;
    in_.skip();
    while (!failed() && !in_.at_end() && in_.peek() != '"' && in_.peek() != '\n')
      out.push_back(in_.take("\\") ? escaped() : in_.character());
    if (!failed() && !in_.take("\"")) fail("a \" is not closed");
    return out;
  }
  uint32_t escaped() {
    static constexpr std::string_view kNames = "tnrfv\\\"'/", kMeanings = "\t\n\r\f\v\\\"'/";
    const char kind = in_.peek();
    const size_t at = in_.at_end() ? kNames.npos : kNames.find(kind);
    in_.skip();
    if (at != kNames.npos) return uint32_t(kMeanings[at]);
    const size_t width = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    uint32_t point = 0;
    const bool ok = width > 0 && in_.hex(width, width, point) && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return ok ? point : fail("this escape is not known");
  }

  NodeId string() {
    const std::vector<uint32_t> first = quoted();
    if (!failed() && in_.take("..")) {
      if (in_.peek() != '"') return fail("a character in quotes is expected after ..");
      const std::vector<uint32_t> last = quoted();
      if (failed()) return 0;
      if (first.size() != 1 || last.size() != 1 || first[0] > last[0]) return fail("a range is from one character to a later one");
      return terminal(grammar_.chars({{first[0], last[0]}}));
    }
    if (failed()) return 0;
    const bool any_case = in_.peek() == 'i' && !is_name_char(in_.peek(1));
    if (any_case) in_.skip();
    std::vector<NodeId> parts;
    for (uint32_t point : first) {
      CharSet set{{point, point}};
      const bool letter = point < 0x80 && ((point | 32) >= 'a' && (point | 32) <= 'z');
      if (any_case && letter) set.add(point ^ 32);
      parts.push_back(grammar_.chars(set));
    }
    return terminal(grammar_.sequence(parts));
  }

  NodeId regex() {
    in_.skip();
    const size_t begin = in_.position();
    bool in_class = false;
    while (!in_.at_end() && in_.peek() != '\n' && (in_class || in_.peek() != '/')) {
      if (in_.peek() == '[') in_class = true;
      if (in_.peek() == ']') in_class = false;
      in_.skip(in_.peek() == '\\' ? 2 : 1);
    }
    const std::string_view pattern = in_.since(begin);
    if (!in_.take("/")) return fail("a / is not closed");
    if (is_name_char(in_.peek())) return unsupported("a regular expression's flag");
    Result<NodeId> out = add_regex(grammar_, pattern, RegexMatch::kWhole, Spelling::kPlain);
    return out.ok() ? terminal(*out) : fail(out.status().message(), out.status().code());
  }

  const std::string_view text_;
  Source in_;
  Grammar grammar_;
  RuleNames names_;
  RuleId ignored_ = 0;
  std::vector<NodeId> ignores_;
  bool in_terminal_ = false;
  std::optional<Status> error_;
};

} // namespace

Result<Grammar> lark_grammar(std::string_view text) {
  if (const size_t at = utf8_invalid_at(text); at != std::string_view::npos)
    return Status(StatusCode::kInvalidArgument, "the grammar is not UTF-8: byte " + std::to_string(at));
  return LarkParser(text).run();
}

} // namespace llmrt::grammar
