#include "runtime/device/vulkan/vulkan_pipelines.h"

#include <algorithm>

namespace llmrt::vk {

Pipelines::~Pipelines() {
  const Api &api = context_.api();
  Dispatchable device = context_.device();
  for (auto &[entry, pipeline] : pipelines_)
    api.DestroyPipeline(device, pipeline.pipeline, nullptr);
  for (auto &[count, layout] : layouts_) {
    api.DestroyPipelineLayout(device, layout.pipeline, nullptr);
    api.DestroyDescriptorSetLayout(device, layout.set, nullptr);
  }
}

llmrt::Result<Pipelines::Layout> Pipelines::layout_of(uint32_t operands) {
  if (auto found = layouts_.find(operands); found != layouts_.end())
    return found->second;
  const PhysicalDeviceLimits &limits = context_.properties().limits;
  if (operands + 1 > std::min(limits.max_per_stage_storage_buffers, limits.max_set_storage_buffers))
    return Status(StatusCode::kUnsupported, context_.name() + " binds fewer buffers than the kernel's " +
                                                std::to_string(operands + 1));
  std::vector<DescriptorSetLayoutBinding> bindings(operands + 1);
  for (uint32_t i = 0; i <= operands; ++i)
    bindings[i].binding = i;
  DescriptorSetLayoutCreateInfo info;
  info.binding_count = operands + 1;
  info.bindings = bindings.data();
  Layout layout;
  const Api &api = context_.api();
  if (Status status = context_.check(api.CreateDescriptorSetLayout(context_.device(), &info, nullptr, &layout.set),
                                     "a descriptor layout");
      !status.ok())
    return status;
  PipelineLayoutCreateInfo pipeline;
  pipeline.sets = &layout.set;
  if (Status status = context_.check(api.CreatePipelineLayout(context_.device(), &pipeline, nullptr, &layout.pipeline),
                                     "a pipeline layout");
      !status.ok()) {
    api.DestroyDescriptorSetLayout(context_.device(), layout.set, nullptr);
    return status;
  }
  layouts_[operands] = layout;
  return layout;
}

// Of a workgroup (runtime/abi/kernel.h).
static uint32_t threads_of(const CodeTable &code, const llmrt_kernel_entry &entry) {
  return uint32_t(code.evaluate(entry.scratch, {}).value_or(0));
}

llmrt::Result<Handle> Pipelines::make(const CodeTable &code, const llmrt_kernel_entry &entry, Handle layout) {
  // The module is whole words at a multiple of 4 bytes (the verifier), in a segment at a multiple of 64 KB.
  std::span<const uint32_t> stored(reinterpret_cast<const uint32_t *>(code.segment().data() + entry.entry),
                                   entry.code_bytes / sizeof(uint32_t));
  if (uses_subgroups(stored) && !context_.subgroup_sizes().any())
    return Status(StatusCode::kUnsupported, context_.name() + " has no subgroups that a kernel asks for");
  llmrt::Result<std::vector<uint32_t>> words = declare_float_controls(stored, context_.float_controls());
  if (!words)
    return words.status();
  ShaderModuleCreateInfo module;
  module.bytes = words->size() * sizeof(uint32_t);
  module.words = words->data();
  const Api &api = context_.api();
  ComputePipelineCreateInfo info;
  if (Status status = context_.check(
          api.CreateShaderModule(context_.device(), &module, nullptr, &info.stage.module), "a shader module");
      !status.ok())
    return status;
  info.layout = layout;
  RequiredSubgroupSizeCreateInfo subgroup;
  if (uses_subgroups(stored)) {
    SubgroupDemand demand = context_.subgroup_sizes().demand(threads_of(code, entry));
    subgroup.size = demand.size;
    info.stage.next = &subgroup;
    info.stage.flags = demand.full ? kRequireFullSubgroups : 0;
  }
  Handle pipeline = 0;
  Status status = context_.check(api.CreateComputePipelines(context_.device(), cache_.handle(), 1, &info, nullptr, &pipeline),
                                 "compiling a kernel");
  api.DestroyShaderModule(context_.device(), info.stage.module, nullptr);
  if (!status.ok())
    return status;
  return pipeline;
}

llmrt::Result<Pipeline> Pipelines::of(const CodeTable &code, const llmrt_kernel_entry &entry) {
  if (auto found = pipelines_.find(&entry); found != pipelines_.end())
    return found->second;
  llmrt::Result<Layout> layout = layout_of(entry.operand_count);
  if (!layout)
    return layout.status();
  llmrt::Result<Handle> pipeline = make(code, entry, layout->pipeline);
  if (!pipeline)
    return pipeline.status();
  return pipelines_[&entry] = {*pipeline, layout->pipeline, layout->set};
}

} // namespace llmrt::vk
