#include "runtime/device/vulkan/vulkan_program.h"

#include "runtime/device/vulkan/vulkan_memory.h"

#include <algorithm>

namespace llmrt::vk {

Program::~Program() {
  const Api &api = context_.api();
  Dispatchable device = context_.device();
  for (auto [entry, pipeline] : pipelines_)
    api.DestroyPipeline(device, pipeline, nullptr);
  if (pool_)
    api.DestroyDescriptorPool(device, pool_, nullptr);
  for (auto &[count, layout] : layouts_) {
    api.DestroyPipelineLayout(device, layout.pipeline, nullptr);
    api.DestroyDescriptorSetLayout(device, layout.set, nullptr);
  }
}

llmrt::Result<std::unique_ptr<Program>> Program::create(Context &context, gpu::StepTable &table,
                                                        const gpu::StepMemory &memory) {
  std::unique_ptr<Program> program(new Program(context, table, memory));
  if (Status status = program->build(); !status.ok())
    return status;
  return program;
}

Status Program::build() {
  for (const gpu::Launch &launch : table_.launches())
    if (Status status = add(launch); !status.ok())
      return table_.blame(launch, status);
  if (Status status = make_sets(); !status.ok())
    return status;
  for (size_t i = 0; i < bound_.size(); ++i)
    if (Status status = bind(table_.launches()[i], bound_[i].set); !status.ok())
      return table_.blame(table_.launches()[i], status);
  return ok_status();
}

// ---- pipelines -----------------------------------------------------------------------------------------------------

llmrt::Result<Program::Layout> Program::layout_of(uint32_t operands) {
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

llmrt::Result<Handle> Program::pipeline_of(const llmrt_kernel_entry &entry, Handle layout) {
  if (auto found = pipelines_.find(&entry); found != pipelines_.end())
    return found->second;
  // The module lies at a multiple of 4 bytes (the verifier), in a segment at a multiple of 64 KB.
  ShaderModuleCreateInfo code;
  code.bytes = entry.code_bytes;
  code.words = reinterpret_cast<const uint32_t *>(table_.code().segment().data() + entry.entry);
  const Api &api = context_.api();
  ComputePipelineCreateInfo info;
  if (Status status = context_.check(
          api.CreateShaderModule(context_.device(), &code, nullptr, &info.stage.module), "a shader module");
      !status.ok())
    return status;
  info.layout = layout;
  Handle pipeline = 0;
  Status status = context_.check(api.CreateComputePipelines(context_.device(), 0, 1, &info, nullptr, &pipeline),
                                 "compiling a kernel");
  api.DestroyShaderModule(context_.device(), info.stage.module, nullptr);
  if (!status.ok())
    return status;
  pipelines_[&entry] = pipeline;
  return pipeline;
}

Status Program::add(const gpu::Launch &launch) {
  llmrt::Result<Layout> layout = layout_of(launch.operand_count);
  if (!layout)
    return layout.status();
  llmrt::Result<Handle> pipeline = pipeline_of(*launch.entry, layout->pipeline);
  if (!pipeline)
    return pipeline.status();
  bound_.push_back({*pipeline, layout->pipeline, layout->set, 0});
  return ok_status();
}

// ---- operands ------------------------------------------------------------------------------------------------------

Status Program::make_sets() {
  DescriptorPoolSize size;
  std::vector<Handle> layouts;
  for (const gpu::Launch &launch : table_.launches())
    size.count += launch.operand_count + 1;
  for (const Bound &bound : bound_)
    layouts.push_back(bound.set_layout);
  DescriptorPoolCreateInfo pool;
  pool.max_sets = uint32_t(std::max<size_t>(layouts.size(), 1));
  pool.sizes = &size;
  size.count = std::max<uint32_t>(size.count, 1);
  const Api &api = context_.api();
  if (Status status =
          context_.check(api.CreateDescriptorPool(context_.device(), &pool, nullptr, &pool_), "a descriptor pool");
      !status.ok())
    return status;
  std::vector<Handle> sets(layouts.size());
  DescriptorSetAllocateInfo info;
  info.pool = pool_;
  info.count = uint32_t(sets.size());
  info.layouts = layouts.data();
  if (sets.empty())
    return ok_status();
  if (Status status =
          context_.check(api.AllocateDescriptorSets(context_.device(), &info, sets.data()), "descriptor sets");
      !status.ok())
    return status;
  for (size_t i = 0; i < sets.size(); ++i)
    bound_[i].set = sets[i];
  return ok_status();
}

// `start`: the word that the operand begins at in its binding, for bindings begin at multiples of the device's own.
llmrt::Result<DescriptorBufferInfo> Program::binding_of(const gpu::Launch &launch, uint32_t operand,
                                                        int32_t *start) const {
  const PhysicalDeviceLimits &limits = context_.properties().limits;
  int64_t alignment = std::max<int64_t>(4, int64_t(limits.min_storage_buffer_alignment));
  // Less what a binding may begin before its operand.
  llmrt::Result<gpu::Region> region =
      table_.operand(launch, operand, int64_t(limits.max_storage_buffer_range) - alignment + 4);
  if (!region)
    return region.status();
  int64_t offset = region->offset / alignment * alignment;
  *start = int32_t((region->offset - offset) / 4);
  return DescriptorBufferInfo{region->handle, Size(offset), Size(region->offset - offset + region->bytes)};
}

Status Program::bind(const gpu::Launch &launch, Handle set) {
  std::vector<DescriptorBufferInfo> buffers;
  buffers.push_back({memory_.block.handle, Size(launch.row), Size(launch.groups() - launch.row)});
  for (uint32_t i = 0; i < launch.operand_count; ++i) {
    int32_t *start = reinterpret_cast<int32_t *>(table_.words + launch.starts()) + i;
    llmrt::Result<DescriptorBufferInfo> binding = binding_of(launch, i, start);
    if (!binding)
      return binding.status();
    buffers.push_back(*binding);
  }
  std::vector<WriteDescriptorSet> writes(buffers.size());
  for (uint32_t i = 0; i < writes.size(); ++i) {
    writes[i].set = set;
    writes[i].binding = i;
    writes[i].buffers = &buffers[i];
  }
  context_.api().UpdateDescriptorSets(context_.device(), uint32_t(writes.size()), writes.data(), 0, nullptr);
  return ok_status();
}

// ---- a step --------------------------------------------------------------------------------------------------------

void Program::record(Dispatchable commands) const {
  const Api &api = context_.api();
  BufferCopy copy{0, 0, Size(memory_.upload.bytes)};
  api.CmdCopyBuffer(commands, memory_.upload.handle, memory_.block.handle, 1, &copy);
  for (size_t i = 0; i < bound_.size(); ++i) {
    full_barrier(context_, commands); // of two variants one does nothing, which nobody else can know
    api.CmdBindDescriptorSets(commands, kBindPointCompute, bound_[i].layout, 0, 1, &bound_[i].set, 0, nullptr);
    api.CmdBindPipeline(commands, kBindPointCompute, bound_[i].pipeline);
    api.CmdDispatchIndirect(commands, memory_.block.handle, Size(table_.launches()[i].groups()));
  }
  full_barrier(context_, commands);
}

} // namespace llmrt::vk
