// Kernels as Vulkan runs them: a pipeline a variant, made when it is first asked for, out of what is on disk where it is.
#pragma once

#include "runtime/artifact/code_table.h"
#include "runtime/device/vulkan/pipeline_cache.h"
#include "runtime/device/vulkan/vulkan_context.h"

#include <map>

namespace llmrt::vk {

struct Pipeline {
  Handle pipeline = 0, layout = 0, set_layout = 0; // set 0: the dispatch's row, then the operands
};

class Pipelines {
public:
  explicit Pipelines(Context &context) : context_(context), cache_(context) {}
  ~Pipelines();
  Pipelines(const Pipelines &) = delete;

  // `entry` is one of `code`, which must outlive this. kUnsupported where the device is less able than the kernel needs.
  llmrt::Result<Pipeline> of(const CodeTable &code, const llmrt_kernel_entry &entry);
  // Writes to disk what has been made since it was read.
  void store() { cache_.store(); }

private:
  struct Layout {
    Handle set = 0, pipeline = 0;
  };
  llmrt::Result<Layout> layout_of(uint32_t operands);
  llmrt::Result<Handle> make(const CodeTable &code, const llmrt_kernel_entry &entry, Handle layout);

  Context &context_;
  PipelineCache cache_;
  std::map<uint32_t, Layout> layouts_; // by number of operands
  std::map<const llmrt_kernel_entry *, Pipeline> pipelines_;
};

} // namespace llmrt::vk
