#include "runtime/text/template/lexer.h"

#include "runtime/base/text.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <charconv>

namespace llmrt::chat {

void refuse_at(const std::string &message, size_t line, size_t column) {
  refuse("line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message);
}

namespace {

// Line breaks become \n, and one at the very end goes.
std::string normalize_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '_' || u >= 0x80;
}
bool is_decimal(char c) { return c >= '0' && c <= '9'; }

class Lexer {
public:
  explicit Lexer(std::string source) : source_(std::move(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) root();
    add(TokenKind::End, "");
    return std::move(tokens_);
  }

private:
  [[noreturn]] void fail(const std::string &message) {
    locate(at_);
    refuse_at(message, line_, column_);
  }

  // Positions only grow, so the line is counted on from the last one.
  void locate(size_t position) {
    for (; located_ < position; ++located_) {
      ++column_;
      if (text_[located_] != '\n') continue;
      ++line_;
      column_ = 1;
    }
  }

  Token &add(TokenKind kind, std::string text) {
    locate(std::min(start_, text_.size()));
    tokens_.push_back({kind, std::move(text), 0, 0, line_, column_});
    return tokens_.back();
  }

  bool starts(std::string_view what, size_t position) const { return text_.substr(position, what.size()) == what; }

  size_t next_tag() const {
    for (size_t i = text_.find('{', at_); i != std::string_view::npos; i = text_.find('{', i + 1))
      if (i + 1 < text_.size() && (text_[i + 1] == '{' || text_[i + 1] == '%' || text_[i + 1] == '#')) return i;
    return std::string_view::npos;
  }

  // Text up to the next tag, and the tag.
  void root() {
    start_ = at_;
    const size_t tag = next_tag();
    if (tag == std::string_view::npos) {
      add(TokenKind::Data, std::string(text_.substr(at_)));
      at_ = text_.size();
      return;
    }
    const char kind = text_[tag + 1];
    const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    const bool has_sign = sign == '-' || sign == '+';
    add_data(text_.substr(at_, tag - at_), has_sign ? sign : '\0', kind == '{');
    start_ = tag;
    at_ = tag + 2 + (has_sign ? 1 : 0);
    if (kind == '#') return comment();
    if (kind == '%' && raw()) return;
    add(kind == '{' ? TokenKind::VariableBegin : TokenKind::BlockBegin, "");
    inside(kind == '{');
  }

  void add_data(std::string_view data, char sign, bool variable) {
    if (sign == '-') {
      data = strip_right(data, nullptr);
    } else if (sign != '+' && !variable) {
      // Only white space between the line's start and the tag goes.
      const size_t newline = data.rfind('\n');
      const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      const bool at_line_start = line > 0 || line_starting_;
      if (at_line_start && strip_left(data.substr(line), nullptr).empty()) data = data.substr(0, line);
    }
    if (!data.empty()) add(TokenKind::Data, std::string(data));
  }

  void skip_spaces() { at_ = text_.size() - strip_left(text_.substr(at_), nullptr).size(); }

  // After a tag's end: '-' takes all white space, a plain end of a block or comment one line break.
  void after_tag(char sign, bool trims_newline) {
    const size_t before = at_;
    if (sign == '-') skip_spaces();
    else if (trims_newline && sign != '+' && at_ < text_.size() && text_[at_] == '\n') ++at_;
    line_starting_ = at_ > before && text_[at_ - 1] == '\n';
  }

  void comment() {
    const size_t end = text_.find("#}", at_);
    if (at_ == text_.size()) return; // Jinja takes no offence
    if (end == std::string_view::npos) fail("a comment without its '#}'");
    const char sign = end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+') ? text_[end - 1] : '\0';
    at_ = end + 2;
    after_tag(sign, true);
  }

  // {% raw %} ... {% endraw %}; `at_` is behind the sign. False: another block.
  bool raw() {
    size_t i = text_.size() - strip_left(text_.substr(at_), nullptr).size();
    if (!starts("raw", i)) return false;
    i = text_.size() - strip_left(text_.substr(i + 3), nullptr).size();
    const bool strips = starts("-%}", i);
    if (!strips && !starts("%}", i)) return false;
    at_ = i + (strips ? 3 : 2);
    after_tag(strips ? '-' : '+', false);
    for (size_t tag = text_.find("{%", at_); tag != std::string_view::npos; tag = text_.find("{%", tag + 2))
      if (end_raw(tag)) return true;
    fail("a raw block without its endraw");
  }

  bool end_raw(size_t tag) {
    size_t i = tag + 2;
    const char sign = i < text_.size() && (text_[i] == '-' || text_[i] == '+') ? text_[i++] : '\0';
    i = text_.size() - strip_left(text_.substr(i), nullptr).size();
    if (!starts("endraw", i)) return false;
    i = text_.size() - strip_left(text_.substr(i + 6), nullptr).size();
    const char close = i < text_.size() && (text_[i] == '-' || text_[i] == '+') ? text_[i++] : '\0';
    if (!starts("%}", i)) return false;
    start_ = at_;
    add_data(text_.substr(at_, tag - at_), sign, false);
    at_ = i + 2;
    after_tag(close, true);
    return true;
  }

  // Expression tokens up to the tag's end.
  void inside(bool variable) {
    const std::string_view end = variable ? "}}" : "%}";
    brackets_.clear();
    while (true) {
      skip_spaces();
      start_ = at_;
      if (at_ >= text_.size()) fail("the template ends inside a tag");
      if (brackets_.empty() && ends_tag(end, variable)) return;
      token();
    }
  }

  bool ends_tag(std::string_view end, bool variable) {
    const char c = text_[at_];
    const bool has_sign = (c == '-' || (c == '+' && !variable)) && starts(end, at_ + 1);
    if (!has_sign && !starts(end, at_)) return false;
    at_ += has_sign ? 3 : 2;
    add(variable ? TokenKind::VariableEnd : TokenKind::BlockEnd, "");
    after_tag(has_sign ? c : '\0', !variable);
    return true;
  }

  void token() {
    const char c = text_[at_];
    if (is_decimal(c)) return number();
    if (is_word(c)) return name();
    if (c == '"' || c == '\'') return string();
    static constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*",
                                                      "%",  "~",  "[",  "]",  "(",  ")",  "{", "}", ">", "<",
                                                      "=",  ".",  ":",  "|",  ",",  ";"};
    for (std::string_view op : kOperators) {
      if (!starts(op, at_)) continue;
      balance(op[0]);
      add(TokenKind::Operator, std::string(op));
      at_ += op.size();
      return;
    }
    fail("unexpected character '" + std::string(1, c) + "'");
  }

  void balance(char c) {
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (brackets_.empty() || brackets_.back() != c) fail("unexpected '" + std::string(1, c) + "'");
    brackets_.pop_back();
  }

  void name() {
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    for (std::string_view c : characters(word))
      if (utf8_first(c).point >= 0x80 && !is_alphabetic(utf8_first(c).point)) fail("invalid character in a name");
    add(TokenKind::Name, std::string(word));
    at_ = end;
  }

  // Digits with single underscores between them.
  size_t digits(size_t i) const {
    while (i < text_.size() && (is_decimal(text_[i]) || (text_[i] == '_' && i + 1 < text_.size() &&
                                                         is_decimal(text_[i + 1]) && is_decimal(text_[i - 1]))))
      ++i;
    return i;
  }

  void number() {
    if (text_[at_] == '0' && at_ + 2 < text_.size() && radix_number()) return;
    size_t end = digits(at_);
    bool is_float = false;
    const bool after_dot = at_ > 0 && text_[at_ - 1] == '.';
    if (!after_dot && end + 1 < text_.size() && text_[end] == '.' && is_decimal(text_[end + 1])) {
      end = digits(end + 1);
      is_float = true;
    }
    if (!after_dot && end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
      if (exponent < text_.size() && is_decimal(text_[exponent])) {
        end = digits(exponent);
        is_float = true;
      }
    }
    std::string plain(text_.substr(at_, end - at_));
    std::erase(plain, '_');
    if (!is_float && plain.size() > 1 && plain[0] == '0') { // a number cannot begin with 0: the zeros stand alone
      plain = "0";
      for (end = at_; end < text_.size() && text_[end] == '0';) ++end;
    }
    add_number(plain, end, is_float);
  }

  void add_number(const std::string &plain, size_t end, bool is_float) {
    Token &token = add(is_float ? TokenKind::Float : TokenKind::Integer, plain);
    const bool fits = is_float ? parse_number(plain, token.number) : llmrt::parse_integer(plain, token.integer);
    if (!fits) fail("a number that is too large");
    at_ = end;
  }

  bool radix_number() {
    const char letter = static_cast<char>(text_[at_ + 1] | 0x20);
    const int radix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (radix == 0) return false;
    size_t end = at_ + 2;
    while (end < text_.size() && (is_word(text_[end]))) ++end;
    std::string plain(text_.substr(at_ + 2, end - at_ - 2));
    std::erase(plain, '_');
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value, radix);
    if (error != std::errc() || stop != plain.data() + plain.size() || plain.empty()) fail("not a number");
    add(TokenKind::Integer, plain).integer = value;
    at_ = end;
    return true;
  }

  void string() {
    const char quote = text_[at_];
    std::string value;
    size_t i = at_ + 1;
    for (; i < text_.size() && text_[i] != quote; ++i) {
      if (text_[i] != '\\') value += text_[i];
      else i = escape(i + 1, value);
    }
    if (i >= text_.size()) fail("a string without its end");
    add(TokenKind::String, std::move(value));
    at_ = i + 1;
  }

  // Python's escapes; `i` is behind the backslash. Gives the place of the escape's last character.
  size_t escape(size_t i, std::string &out) {
    if (i >= text_.size()) fail("a string without its end");
    static constexpr std::string_view kPlain = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
    const char c = text_[i];
    if (c == '\n') return i;
    if (const size_t plain = kPlain.find(c); plain != std::string_view::npos) {
      out += kValues[plain];
      return i;
    }
    if (c == 'x') return hex(i, 2, out);
    if (c == 'u') return hex(i, 4, out);
    if (c == 'U') return hex(i, 8, out);
    if (c == 'N') fail("unsupported: \\N{...} in a string");
    if (c >= '0' && c <= '7') {
      uint32_t value = 0;
      size_t n = 0;
      while (n < 3 && i + n < text_.size() && text_[i + n] >= '0' && text_[i + n] <= '7')
        value = value * 8 + static_cast<uint32_t>(text_[i + n++] - '0');
      utf8_append(out, value);
      return i + n - 1;
    }
    out += '\\';
    out += c;
    return i;
  }

  size_t hex(size_t i, size_t count, std::string &out) {
    uint32_t value = 0;
    const char *first = text_.data() + i + 1;
    const bool whole = i + 1 + count <= text_.size();
    const auto result = whole ? std::from_chars(first, first + count, value, 16) : std::from_chars_result{};
    if (!whole || result.ec != std::errc() || result.ptr != first + count) fail("a broken escape in a string");
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) fail("an escape in a string that is no character");
    utf8_append(out, value);
    return i + count;
  }

  const std::string source_;
  const std::string_view text_;
  std::vector<Token> tokens_;
  std::string brackets_; // closing ones that are due
  size_t at_ = 0, start_ = 0;
  size_t located_ = 0, line_ = 1, column_ = 1;
  bool line_starting_ = true;
};

} // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(normalize_lines(source)).run(); }

} // namespace llmrt::chat
