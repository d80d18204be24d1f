// UTF-8, strict (no surrogates, no overlong forms, nothing above U+10FFFF), as in RFC 3629.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmrt {

struct Utf8Char {
  uint32_t point = 0xfffd;
  uint32_t length = 1;   // bytes; of a wrong sequence its maximal subpart (Unicode 3.9), one U+FFFD each
  bool valid = false;
  bool truncated = false; // the text ends inside what may be a character
};

// The character at `text`'s start; `text` is not empty.
inline Utf8Char utf8_first(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true, false};
  if (lead < 0xc2 || lead > 0xf4) return {};
  const uint32_t count = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  uint32_t low = 0x80, high = 0xbf; // bounds of the second byte
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  uint32_t point = lead & (0xff >> (count + 1));
  for (uint32_t i = 1; i < count; ++i) {
    if (i == text.size()) return {0xfffd, i, false, true};
    if (byte(i) < low || byte(i) > high) return {0xfffd, i, false, false};
    point = (point << 6) | (byte(i) & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  return {point, count, true, false};
}

// The offset of the first byte that is no UTF-8, or npos.
inline size_t utf8_invalid_at(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const Utf8Char c = utf8_first(text.substr(i));
    if (!c.valid) return i;
    i += c.length;
  }
  return std::string_view::npos;
}

// Where the character that ends before `end` starts; `end` > 0.
inline size_t utf8_previous(std::string_view text, size_t end) {
  size_t i = end - 1;
  while (i > 0 && end - i < 4 && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) --i;
  return i;
}

inline void utf8_append(std::string &out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

} // namespace llmrt
