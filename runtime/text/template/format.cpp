// Python's two ways of formatting strings, as far as templates use them.
#include "runtime/base/text.h"
#include "runtime/text/template/interpreter.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace llmrt::chat {

namespace {

struct Conversion {
  bool left = false, zero = false, plus = false, space = false, alternate = false;
  int width = 0, precision = -1;
  char kind = 's';
};

constexpr int kMostWidth = 10'000;

std::string padded(std::string text, const Conversion &c) {
  const auto size = static_cast<int>(count_characters(text));
  if (size >= c.width) return text;
  const std::string fill(static_cast<size_t>(c.width - size), ' ');
  return c.left ? text + fill : fill + text;
}

std::string number_format(const Conversion &c, const Value &value) {
  std::string format = "%";
  if (c.left) format += '-';
  if (c.zero) format += '0';
  if (c.plus) format += '+';
  if (c.space) format += ' ';
  if (c.alternate) format += '#';
  format += "*.*";
  char buffer[kMostWidth + 512];
  if (std::string_view("diu").find(c.kind) != std::string_view::npos) {
    if (!value.is_number()) refuse("%d format: a real number is required, not " + type_name(value));
    const long long i = value.is_integral() ? value.as_int() : static_cast<long long>(value.as_double());
    std::snprintf(buffer, sizeof buffer, (format + "lld").c_str(), c.width, c.precision, i);
  } else if (std::string_view("xXo").find(c.kind) != std::string_view::npos) {
    if (!value.is_integral() || value.as_int() < 0) unsupported("this number in %x or %o");
    std::snprintf(buffer, sizeof buffer, (format + "ll" + c.kind).c_str(), c.width, c.precision,
                  static_cast<unsigned long long>(value.as_int()));
  } else {
    if (!value.is_number()) refuse("must be real number, not " + type_name(value));
    return format_printf((format + c.kind).c_str(), c.width, c.precision < 0 ? 6 : c.precision, value.as_double());
  }
  return buffer;
}

std::string convert(const Conversion &c, const Value &value) {
  if (c.kind == 's' || c.kind == 'r') {
    std::string text = c.kind == 's' ? to_text(value) : to_repr(value);
    if (c.precision >= 0) {
      std::string cut;
      const std::vector<std::string_view> all = characters(text);
      for (size_t i = 0; i < all.size() && i < static_cast<size_t>(c.precision); ++i) cut += all[i];
      text = cut;
    }
    return padded(std::move(text), c);
  }
  if (std::string_view("diuxXofFeEgG").find(c.kind) == std::string_view::npos)
    unsupported(std::string("the conversion %") + c.kind);
  return number_format(c, value);
}

// One pass over `format % arguments`.
class PercentFormatter {
public:
  PercentFormatter(const std::string &format, const Value &arguments) : format_(format), arguments_(arguments) {
    if (arguments.is_row(RowKind::Tuple)) items_ = arguments.as_row().items;
    else items_ = {arguments};
  }

  std::string run() {
    std::string out;
    for (; at_ < format_.size(); ++at_) {
      if (format_[at_] != '%') {
        out += format_[at_];
        continue;
      }
      ++at_;
      if (at_ < format_.size() && format_[at_] == '%') {
        out += '%';
        continue;
      }
      out += one();
    }
    const bool all_used = next_ >= items_.size() || arguments_.is_dict();
    if (!all_used && !by_name_) refuse("not all arguments converted during string formatting");
    return out;
  }

private:
  char peek() const {
    if (at_ >= format_.size()) refuse("incomplete format");
    return format_[at_];
  }

  const Value &next() {
    if (next_ >= items_.size()) refuse("not enough arguments for format string");
    return items_[next_++];
  }

  int number() {
    if (peek() == '*') unsupported("a width given as an argument");
    int value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) value = std::min(value * 10 + (peek() - '0'), kMostWidth);
    return value;
  }

  std::string one() {
    Conversion c;
    const Value *value = nullptr;
    if (peek() == '(') {
      const size_t end = format_.find(')', at_);
      if (end == std::string::npos) refuse("incomplete format key");
      if (!arguments_.is_dict()) refuse("format requires a mapping");
      value = arguments_.as_dict().find(format_.substr(at_ + 1, end - at_ - 1));
      if (!value) refuse("a format's key is missing");
      by_name_ = true;
      at_ = end + 1;
    }
    for (bool flag = true; flag;) {
      switch (peek()) {
      case '-': c.left = true; break;
      case '0': c.zero = true; break;
      case '+': c.plus = true; break;
      case ' ': c.space = true; break;
      case '#': c.alternate = true; break;
      default: flag = false;
      }
      at_ += flag;
    }
    c.width = number();
    if (peek() == '.') {
      ++at_;
      c.precision = std::min(number(), 400);
    }
    c.kind = peek();
    return convert(c, value ? *value : next());
  }

  const std::string &format_;
  const Value &arguments_;
  Items items_;
  size_t next_ = 0, at_ = 0;
  bool by_name_ = false;
};

// {:.2f} and the like: sign, width, precision and kind; nothing finer.
std::string format_spec(const Value &value, const std::string &spec) {
  if (spec.empty()) return to_text(value);
  Conversion c;
  size_t i = 0;
  if (spec[i] == '0') {
    c.zero = true;
    ++i;
  }
  for (; i < spec.size() && spec[i] >= '0' && spec[i] <= '9'; ++i)
    c.width = std::min(c.width * 10 + (spec[i] - '0'), kMostWidth);
  if (i < spec.size() && spec[i] == '.') {
    c.precision = 0;
    for (++i; i < spec.size() && spec[i] >= '0' && spec[i] <= '9'; ++i)
      c.precision = std::min(c.precision * 10 + (spec[i] - '0'), 400);
  }
  const bool known = i + 1 == spec.size() && std::string_view("dfFeExX").find(spec[i]) != std::string_view::npos;
  if (!known || !value.is_number()) unsupported("the format '" + spec + "'");
  c.kind = spec[i];
  return convert(c, value);
}

Value field_value(const std::string &field, const Call &call, size_t &next) {
  const size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string first = field.substr(0, end);
  if (end < field.size()) unsupported("attributes in a format string");
  const bool numbered = first.find_first_not_of("0123456789") == std::string::npos;
  if (first.empty() || numbered) {
    const size_t place = first.empty() ? next++ : first.size() > 6 ? SIZE_MAX : std::stoul(first);
    if (place >= call.positional.size()) refuse("a format's index is out of range");
    return call.positional[place];
  }
  for (const auto &[name, value] : call.keyword)
    if (name == first) return value;
  refuse("a format's key '" + first + "' is missing");
}

} // namespace

std::string percent_format(const std::string &format, const Value &arguments) {
  return PercentFormatter(format, arguments).run();
}

std::string brace_format(const std::string &format, const Call &call) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    const bool doubled = (c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c;
    if (doubled || (c != '{' && c != '}')) {
      out += c;
      i += doubled;
      continue;
    }
    const size_t end = format.find('}', i);
    if (c == '}' || end == std::string::npos) refuse("a single brace in a format string");
    std::string field = format.substr(i + 1, end - i - 1), spec;
    if (field.find('{') != std::string::npos) unsupported("a field inside a field of a format string");
    if (const size_t colon = field.find(':'); colon != std::string::npos) {
      spec = field.substr(colon + 1);
      field.resize(colon);
    }
    const bool as_repr = field.ends_with("!r"), as_text = field.ends_with("!s");
    if (as_repr || as_text) field.resize(field.size() - 2);
    const Value value = field_value(field, call, next);
    out += as_repr ? to_repr(value) : format_spec(value, spec);
    i = end;
  }
  return out;
}

} // namespace llmrt::chat
