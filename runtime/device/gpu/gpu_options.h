#pragma once

namespace llmrt {

struct GpuOptions {
  int index = -1;        // of the devices of its kind; -1: the most able one
  bool self_test = true; // try the kernels on the artifact's golden vectors
};

} // namespace llmrt
