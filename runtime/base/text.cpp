#include "runtime/base/text.h"

#include <array>
#include <charconv>

namespace llmrt {

namespace {

template <typename T> bool parse_all(std::string_view text, T &value) {
  T parsed{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return false;
  value = parsed;
  return true;
}

// Bytes of the UTF-8 sequence at the start of `text`, 0 if it is not one (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  auto tail = [&](size_t i, uint8_t low, uint8_t high) { return byte(i) >= low && byte(i) <= high; };
  uint8_t lead = byte(0);
  if (lead < 0x80)
    return 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    return tail(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    uint8_t low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;
    return tail(1, low, high) && tail(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    uint8_t low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;
    return tail(1, low, high) && tail(2, 0x80, 0xBF) && tail(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

constexpr char kHexDigits[] = "0123456789abcdef";

void append_control(std::string &out, char c) {
  switch (c) {
  case '"': out += "\\\""; return;
  case '\\': out += "\\\\"; return;
  case '\n': out += "\\n"; return;
  case '\r': out += "\\r"; return;
  case '\t': out += "\\t"; return;
  default:
    out += "\\u00";
    out += kHexDigits[uint8_t(c) >> 4];
    out += kHexDigits[uint8_t(c) & 15];
  }
}

} // namespace

bool parse_integer(std::string_view text, int64_t &value) { return parse_all(text, value); }
bool parse_integer(std::string_view text, uint64_t &value) { return parse_all(text, value); }
bool parse_integer(std::string_view text, int32_t &value) { return parse_all(text, value); }

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char *, 5> kUnits = {" B", " KiB", " MiB", " GiB", " TiB"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit)
    value /= 1024;
  return format_fixed(value, unit == 0 ? 0 : 2) + kUnits[unit];
}

std::string to_hex(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (uint8_t byte : bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n\f\v";
  size_t begin = text.find_first_not_of(kWhite);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(kWhite) - begin + 1);
}

void append_json_string(std::string &out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    size_t length = utf8_length(text);
    char c = text[0];
    if (length == 0)
      out += "\xEF\xBF\xBD";
    else if (length == 1 && (uint8_t(c) < 0x20 || c == '"' || c == '\\'))
      append_control(out, c);
    else
      out.append(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

} // namespace llmrt
