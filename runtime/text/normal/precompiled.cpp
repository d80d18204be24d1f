#include "runtime/text/normal/precompiled.h"

#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/utf8.h"

#include <optional>

namespace llmrt {

namespace {

constexpr size_t kLongestGrapheme = 5; // bytes; longer ones go character by character

// A darts-clone double array: little-endian units of 32 bits. Nothing in it is trusted.
class CharMap {
public:
  explicit CharMap(std::string_view blob) {
    if (blob.size() < 4) return;
    const size_t size = unit_at(blob, 0);
    if (size > blob.size() - 4) return;
    trie_ = blob.substr(4, size);
    strings_ = blob.substr(4 + size);
  }

  // What the shortest key that `text` starts with maps to; the library asks for no more.
  std::optional<std::string_view> find(std::string_view text) const {
    uint32_t node = offset(unit(0));
    for (char c : text) {
      const uint32_t byte = static_cast<unsigned char>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      const uint32_t u = unit(node);
      if ((u & 0x800000ff) != byte) return std::nullopt;
      node ^= offset(u);
      if (u >> 8 & 1) return string_at(unit(node) & 0x7fffffff);
    }
    return std::nullopt;
  }

private:
  static uint32_t unit_at(std::string_view bytes, size_t at) {
    uint32_t u = 0;
    for (size_t i = 0; i < 4; ++i) u |= uint32_t(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    return u;
  }
  uint32_t unit(uint32_t index) const {
    return size_t(index) * 4 + 4 <= trie_.size() ? unit_at(trie_, size_t(index) * 4) : 0x80000000; // no label
  }
  static uint32_t offset(uint32_t u) { return (u >> 10) << ((u & 0x200) >> 6); }

  std::optional<std::string_view> string_at(uint32_t at) const {
    if (at >= strings_.size()) return std::nullopt;
    const size_t end = strings_.find('\0', at);
    const std::string_view out = strings_.substr(at, end == std::string_view::npos ? end : end - at);
    if (utf8_invalid_at(out) != std::string_view::npos) return std::nullopt;
    return out;
  }

  std::string_view trie_, strings_;
};

class Graphemes {
public:
  Graphemes(const schema::NormalizerStep &step, const CharClasses &classes) : step_(step), classes_(classes) {}

  // The length of the grapheme at `text`'s start, right where it is at most kLongestGrapheme: those have no room for
  // Hangul jamo, emoji sequences, flags or conjuncts (UAX 29).
  size_t length(std::string_view text) const {
    Utf8Char c = utf8_first(text);
    if (text.substr(0, 2) == "\r\n") return 2;
    if (classes_.contains(step_.b(), c.point)) return c.length;
    size_t end = c.length;
    while (classes_.contains(step_.c(), c.point) && end < text.size()) {
      const Utf8Char next = utf8_first(text.substr(end));
      if (classes_.contains(step_.b(), next.point)) break;
      c = next;
      end += next.length;
    }
    while (end < text.size() && classes_.contains(step_.a(), utf8_first(text.substr(end)).point))
      end += utf8_first(text.substr(end)).length;
    return end;
  }

private:
  const schema::NormalizerStep &step_;
  const CharClasses &classes_;
};

} // namespace

std::string apply_char_map(const schema::NormalizerStep &step, const CharClasses &classes, std::string_view text) {
  const CharMap map(bytes_of(step.text()));
  const Graphemes graphemes(step, classes);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = graphemes.length(text);
    std::string_view grapheme = text.substr(0, length);
    text.remove_prefix(length);
    if (length <= kLongestGrapheme) {
      if (const auto mapped = map.find(grapheme)) {
        out.append(*mapped);
        continue;
      }
    }
    while (!grapheme.empty()) {
      const std::string_view character = grapheme.substr(0, utf8_first(grapheme).length);
      out.append(map.find(character).value_or(character));
      grapheme.remove_prefix(character.size());
    }
  }
  return out;
}

} // namespace llmrt
