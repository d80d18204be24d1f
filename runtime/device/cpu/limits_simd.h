// Loops of one instruction kind, for measuring.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmrt {

// Reads all 64-byte lines of [data, data + bytes); the result keeps the reads alive.
uint64_t read_all(const void *data, size_t bytes);

struct DotLoop {
  int32_t (*run)(int64_t rounds); // the result keeps the work alive
  int64_t operations;             // of one round
};
// The loop for the best dot product of `features`; run is null if there is none.
DotLoop best_dot_loop(uint64_t features);

} // namespace llmrt
