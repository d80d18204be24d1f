// A kernel by itself on Vulkan.
#pragma once

#include "runtime/device/vulkan/vulkan_memory.h"
#include "runtime/device/vulkan/vulkan_pipelines.h"

namespace llmrt::vk {

// Memory for it, kept from one to the next and grown as they need it.
class LoneRunner {
public:
  LoneRunner(Context &context, Pipelines &pipelines) : context_(context), pipelines_(pipelines) {}
  Status run(const gpu::BoundKernel &kernel);

private:
  Status make_room(int64_t bytes);
  Status bind(const gpu::BoundKernel &kernel, Handle set) const;
  Status submit(const gpu::BoundKernel &kernel, const Pipeline &pipeline, Handle set);

  Context &context_;
  Pipelines &pipelines_;
  Buffer host_, device_;
};

} // namespace llmrt::vk
