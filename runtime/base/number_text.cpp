// Numbers as text by the C library's conversions. std::to_chars does the same with tables of 130 KB, which is an eighth
// of what a program that embeds the runtime grows by.
#include "runtime/base/text.h"

#include <algorithm>
#include <array>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace llmrt {

namespace {

// The C library reads and writes the decimal point of the locale, which belongs to the program around us.
std::string_view decimal_point() { return std::localeconv()->decimal_point; }

std::string with_locale_point(std::string_view text) {
  std::string out(text);
  if (size_t at = out.find('.'); at != std::string::npos)
    out.replace(at, 1, decimal_point());
  return out;
}

std::string without_locale_point(std::string text) {
  if (std::string_view point = decimal_point(); point != ".")
    if (size_t at = text.find(point); at != std::string::npos)
      text.replace(at, point.size(), ".");
  return text;
}

void read(const char *text, double &value) { value = std::strtod(text, nullptr); }
void read(const char *text, float &value) { value = std::strtof(text, nullptr); }

// strtod also takes white space, a plus, hexadecimal digits, "inf" and "nan".
bool is_decimal(std::string_view text) {
  size_t at = 0;
  auto skip_digits = [&] {
    size_t first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9')
      ++at;
    return at - first;
  };
  at += text.starts_with('-');
  size_t digits = skip_digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    digits += skip_digits();
  }
  if (digits == 0)
    return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    at += at < text.size() && (text[at] == '+' || text[at] == '-');
    if (skip_digits() == 0)
      return false;
  }
  return at == text.size();
}

template <typename T> bool parse_any(std::string_view text, T &value) {
  if (!is_decimal(text))
    return false;
  read(with_locale_point(text).c_str(), value);
  return true;
}

template <typename T> bool parse(std::string_view text, T &value) {
  T parsed;
  if (!parse_any(text, parsed) || !std::isfinite(parsed))
    return false;
  value = parsed;
  return true;
}

// Of a float at most 9, of a double at most 17 digits tell it from its neighbours. More digits never tell less, so the
// least count is found by halving.
template <typename T> Decimal shortest(T value) {
  std::array<char, 64> text;
  auto write = [&](int digits) { std::snprintf(text.data(), text.size(), "%.*e", digits - 1, double(value)); };
  int low = 1, high = std::numeric_limits<T>::max_digits10;
  while (low < high) {
    int middle = (low + high) / 2;
    write(middle);
    T back;
    read(text.data(), back);
    if (back == value)
      high = middle;
    else
      low = middle + 1;
  }
  write(low);
  std::string_view all(text.data());
  size_t exponent = all.find('e');
  Decimal out;
  out.negative = std::signbit(value);
  for (char c : all.substr(0, exponent))
    if (c >= '0' && c <= '9')
      out.digits += c;
  out.point = value == 0 ? 1 : std::atoi(text.data() + exponent + 1) + 1;
  return out;
}

template <typename T> std::string format(T value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  Decimal number = shortest(value);
  std::string fixed = fixed_text(number), scientific = scientific_text(number);
  return fixed.size() <= scientific.size() ? fixed : scientific;
}

} // namespace

bool parse_number(std::string_view text, double &value) { return parse(text, value); }
bool parse_number(std::string_view text, float &value) { return parse(text, value); }
bool parse_decimal(std::string_view text, double &value) { return parse_any(text, value); }

std::string fixed_text(const Decimal &number) {
  const std::string &digits = number.digits;
  std::string sign = number.negative ? "-" : "";
  if (number.point <= 0)
    return sign + "0." + std::string(size_t(-number.point), '0') + digits;
  if (size_t point = size_t(number.point); point < digits.size())
    return sign + digits.substr(0, point) + "." + digits.substr(point);
  return sign + digits + std::string(size_t(number.point) - digits.size(), '0');
}

std::string scientific_text(const Decimal &number) {
  std::string text = (number.negative ? "-" : "") + number.digits.substr(0, 1);
  if (number.digits.size() > 1)
    text += "." + number.digits.substr(1);
  int exponent = number.point - 1;
  std::string size = std::to_string(std::abs(exponent));
  return text + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
}

Decimal shortest_decimal(double value) { return shortest(value); }
Decimal shortest_decimal(float value) { return shortest(value); }

std::string format_number(double value) { return format(value); }
std::string format_number(float value) { return format(value); }

std::string format_printf(const char *format, int width, int precision, double value) {
  int length = std::snprintf(nullptr, 0, format, width, precision, value);
  std::string text(size_t(std::max(length, 0)) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, width, precision, value);
  text.pop_back();
  return without_locale_point(std::move(text));
}

std::string format_fixed(double value, int digits) { return format_printf("%*.*f", 0, std::clamp(digits, 0, 100), value); }

} // namespace llmrt
