// The modules of an artifact's code for CUDA, loaded.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/code_table.h"
#include "runtime/device/cuda/cuda_context.h"

#include <map>
#include <vector>

namespace llmrt::cuda {

class Kernels {
public:
  explicit Kernels(const OpenDevice &device) : device_(&device) {}
  Kernels(Kernels &&other) noexcept
      : device_(other.device_), modules_(std::move(other.modules_)), functions_(std::move(other.functions_)) {}
  ~Kernels();

  struct Function {
    cuda::Function function;
    uint32_t threads; // of a workgroup
  };
  // Loads all variants of the table, whose segment must outlive them.
  Status load(const CodeTable &table);
  // A variant of a table, which is loaded when it is first asked for.
  llmrt::Result<Function> of(const CodeTable &table, const llmrt_kernel_entry &entry);

private:
  Status load(const CodeTable &table, const llmrt_kernel_entry &entry);

  const OpenDevice *device_;
  std::vector<Module> modules_;
  std::map<const llmrt_kernel_entry *, Function> functions_;
};

// The segments with code that the chip runs, the best first.
std::vector<uint32_t> segments_for(const Artifact &artifact, Chip chip);

} // namespace llmrt::cuda
