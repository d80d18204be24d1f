// The search for a group's scale, shared by the integer schemes. It works on 16 rows at once, a row a lane, so that a
// sum runs over the columns in their order whatever the width of the machine's vectors.
#pragma once

#include "runtime/packing/lanes.h"
#include "runtime/packing/scheme.h"

namespace llmrt::packing {

// What a scheme can store, and where its search starts.
struct SearchPlan {
  float lowest, highest;         // of the integers w; -lowest >= highest
  std::span<const float> levels; // w (not rounded) at which the value of largest magnitude is tried
};

// One group of 16 rows. `values` is [group][16]; fills `scales` with 16 f16 values (as floats; 0 where all values
// round to zero) and `w` with [group][16] integers, such that scale * w is near the values: of all the scales tried,
// the one with the least sum of squared differences. absmax / highest is one of those tried.
PackStatus search_group(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w);

// The same search compiled for a width of vectors. All of them give the same bits.
struct SearchVariant {
  const char *name;
  PackStatus (*search)(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w);
};
// Those this machine can run, the best first.
std::span<const SearchVariant> search_variants();

} // namespace llmrt::packing
