// A GPU of NVIDIA as a device, through CUDA's driver: cubins for its chip, or PTX, run as graphs on one stream.
#pragma once

#include "runtime/device/device.h"
#include "runtime/device/gpu/backend.h"
#include "runtime/device/gpu/gpu_options.h"

#include <memory>
#include <string>
#include <vector>

namespace llmrt {

struct CudaKind {
  // kUnsupported: this machine has no such device, or its chip or driver cannot run the artifact's code; the message
  // says which. kInternal: a kernel of all code that the chip runs failed the self-test, where that is wanted. Opens the
  // device and loads the kernels; prepare() takes the memory and uploads the weights.
  Result<std::unique_ptr<Device>> (*make)(std::shared_ptr<const Artifact> artifact, const GpuOptions &options);
  // The devices of this machine, for people: "NVIDIA H200 (sm_90)"; empty without CUDA.
  std::vector<std::string> (*devices)();
  // Which of the artifact's code the first device of this machine runs, "sm_90a"; empty: none.
  std::string (*tier)(const Artifact &artifact);
  // The device alone, for running kernels by themselves.
  Result<std::unique_ptr<gpu::Backend>> (*open)(int index);
};

// Null in a program that was linked statically without `-Wl,-u,llmrt_cuda`: a small program that embeds the runtime does
// not pay for what it does not use. llmrt and libllmrt.so have it.
extern "C" [[gnu::weak, gnu::visibility("hidden")]] const CudaKind llmrt_cuda;

} // namespace llmrt
