// What the integer schemes' files offer the registry, and the walk over chunks they share.
#pragma once

#include "runtime/packing/group_search.h"

namespace llmrt::packing {

// How a scheme family stores integers. `u` is [2 * group][16], a chunk's stored values; `lines` the bytes behind the
// chunk's scales.
struct Family {
  SearchPlan plan;
  void (*pack_lines)(const uint8_t *u, int columns, char *lines);
  void (*unpack_lines)(const char *lines, int columns, uint8_t *u);
};

const Family &q4();
const Family &q8();

} // namespace llmrt::packing
