// q8_gG: w in [-127, 127], a byte each. In line j byte 4r+b is u[r, 4j+b].
#include "runtime/packing/layout.h"

namespace llmrt::packing {
namespace {

constexpr float kLevels[] = {126.0f, 126.5f, 127.0f, 127.5f};

void pack_lines(const uint8_t *u, int columns, char *lines) {
  for (int first = 0; first < columns; first += 4, lines += 4 * kRows)
    for (int b = 0; b < 4; ++b)
      for (int r = 0; r < kRows; ++r)
        lines[4 * r + b] = char(u[(first + b) * kRows + r]);
}

void unpack_lines(const char *lines, int columns, uint8_t *u) {
  for (int first = 0; first < columns; first += 4, lines += 4 * kRows)
    for (int b = 0; b < 4; ++b)
      for (int r = 0; r < kRows; ++r)
        u[(first + b) * kRows + r] = uint8_t(lines[4 * r + b]);
}

} // namespace

const Family &q8() {
  static constexpr Family family = {{-127, 127, kLevels}, pack_lines, unpack_lines};
  return family;
}

} // namespace llmrt::packing
