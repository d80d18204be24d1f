// GPT-2's printable characters for the 256 bytes: the printable ones of Latin-1 stand for themselves, the others follow
// from U+0100 on, in order.
#pragma once

#include <array>
#include <cstdint>

namespace llmrt {

constexpr bool byte_is_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct ByteChars {
  std::array<uint16_t, 256> point_of{};  // byte -> character
  std::array<int16_t, 0x144> byte_of{};  // character -> byte, -1 for none
};

constexpr ByteChars make_byte_chars() {
  ByteChars t;
  for (auto &byte : t.byte_of) byte = -1;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t point = byte_is_itself(byte) ? byte : next++;
    t.point_of[byte] = static_cast<uint16_t>(point);
    t.byte_of[point] = static_cast<int16_t>(byte);
  }
  return t;
}

inline constexpr ByteChars kByteChars = make_byte_chars();

inline int byte_of_char(uint32_t point) { return point < kByteChars.byte_of.size() ? kByteChars.byte_of[point] : -1; }

} // namespace llmrt
