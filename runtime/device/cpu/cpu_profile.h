// What the CPU device notes down about its dispatches when asked to: where a step's time goes.
#pragma once

#include "runtime/device/device.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace llmrt {

// Laid out by Device::prepare(), added to by Device::run(); read it between steps.
struct CpuProfile {
  struct Row {
    std::string label, kernel; // of the dispatch; "copy" for a copy
    uint64_t nanoseconds = 0, runs = 0;
    int64_t step_rows = 0; // scalars[0] of the runs, added up
  };
  struct Span {
    uint32_t row;
    uint64_t begin, end; // os::monotonic_ns()
  };

  std::vector<Row> rows;       // a dispatch of the program each, in its order
  uint64_t run_nanoseconds = 0, runs = 0; // of whole calls of run()
  // Cached tokens that the steps' sequences saw, windows considered, added up over the runs.
  std::array<int64_t, kMaxCacheGroups> seen_tokens{};
  std::vector<Span> spans;     // every dispatch as it ran, until there are span_limit of them
  size_t span_limit = 0;

  void reset() {
    for (Row &row : rows)
      row.nanoseconds = row.runs = 0, row.step_rows = 0;
    run_nanoseconds = runs = 0;
    seen_tokens = {};
  }
};

} // namespace llmrt
