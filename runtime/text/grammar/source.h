// A place in a source text, and the errors that name it: what the parsers of this folder share.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/normal/utf8.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace llmrt::grammar {

class Source {
public:
  explicit Source(std::string_view text) : text_(text) {}

  bool at_end() const { return pos_ >= text_.size(); }
  char peek(size_t ahead = 0) const { return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0'; }
  bool looking_at(std::string_view what) const { return text_.substr(pos_).starts_with(what); }
  bool take(std::string_view what) {
    if (!looking_at(what)) return false;
    pos_ += what.size();
    return true;
  }
  void skip(size_t bytes = 1) { pos_ = std::min(text_.size(), pos_ + bytes); }
  size_t position() const { return pos_; }
  void seek(size_t position) { pos_ = position; }
  std::string_view since(size_t position) const { return text_.substr(position, pos_ - position); }
  std::string_view rest() const { return text_.substr(pos_); }

  // The next character; not at the end. Bytes that are no UTF-8 were refused before.
  uint32_t character() {
    const Utf8Char c = utf8_first(text_.substr(pos_));
    pos_ += c.length;
    return c.point;
  }

  // `least` to `most` hexadecimal digits; false and nothing taken where there are fewer.
  bool hex(size_t least, size_t most, uint32_t &value) {
    size_t count = 0;
    uint32_t out = 0;
    for (; count < most; ++count) {
      const char c = peek(count);
      const int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
      if (digit < 0) break;
      out = out * 16 + uint32_t(digit);
    }
    if (count < least) return false;
    value = out;
    skip(count);
    return true;
  }
  // A decimal number of at most 7 digits.
  bool number(uint32_t &value) {
    size_t count = 0;
    uint32_t out = 0;
    for (; count < 7 && peek(count) >= '0' && peek(count) <= '9'; ++count) out = out * 10 + uint32_t(peek(count) - '0');
    const bool ends = count > 0 && !(peek(count) >= '0' && peek(count) <= '9');
    if (ends) value = out;
    skip(ends ? count : 0);
    return ends;
  }

private:
  std::string_view text_;
  size_t pos_ = 0;
};

} // namespace llmrt::grammar
