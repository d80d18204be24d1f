// q4_gG: w in [-8, 7], two to a byte. In line j byte 4r+b holds u[r, 8j+b] low and u[r, 8j+4+b] high.
#include "runtime/packing/layout.h"

namespace llmrt::packing {
namespace {

// The value of largest magnitude gets the side that reaches to 8; less than 8 gives up nothing at the other end,
// more than 8 clips it for a finer step.
constexpr float kLevels[] = {6.9f, 7.1f, 7.3f, 7.5f, 7.7f, 7.9f, 8.0f, 8.2f, 8.4f, 8.6f, 8.9f, 9.2f, 9.6f, 10.0f};

void pack_lines(const uint8_t *u, int columns, char *lines) {
  for (int first = 0; first < columns; first += 8, lines += 4 * kRows)
    for (int b = 0; b < 4; ++b) {
      const uint8_t *low = u + (first + b) * kRows, *high = low + 4 * kRows;
      for (int r = 0; r < kRows; ++r)
        lines[4 * r + b] = char(low[r] | high[r] << 4);
    }
}

void unpack_lines(const char *lines, int columns, uint8_t *u) {
  for (int first = 0; first < columns; first += 8, lines += 4 * kRows)
    for (int b = 0; b < 4; ++b)
      for (int r = 0; r < kRows; ++r) {
        uint8_t byte = uint8_t(lines[4 * r + b]);
        u[(first + b) * kRows + r] = byte & 15;
        u[(first + b + 4) * kRows + r] = byte >> 4;
      }
}

} // namespace

const Family &q4() {
  static constexpr Family family = {{-8, 7, kLevels}, pack_lines, unpack_lines};
  return family;
}

} // namespace llmrt::packing
