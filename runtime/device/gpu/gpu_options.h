#pragma once

#include <string>

namespace llmrt {

struct GpuOptions {
  int index = -1;        // of the devices of its kind; -1: the most able one
  std::string tier;      // of the artifact's code; empty: the best that the device runs
  bool self_test = true; // try the kernels on the artifact's golden vectors
};

} // namespace llmrt
