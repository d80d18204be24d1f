#include "runtime/device/vulkan/vulkan_program.h"

#include "runtime/device/vulkan/vulkan_memory.h"

#include <algorithm>

namespace llmrt::vk {

Program::~Program() {
  if (pool_)
    context_.api().DestroyDescriptorPool(context_.device(), pool_, nullptr);
}

llmrt::Result<std::unique_ptr<Program>> Program::create(Context &context, Pipelines &pipelines, gpu::StepTable &table,
                                                        const gpu::StepMemory &memory) {
  std::unique_ptr<Program> program(new Program(context, table, memory));
  if (Status status = program->build(pipelines); !status.ok())
    return status;
  return program;
}

Status Program::build(Pipelines &pipelines) {
  for (const gpu::Launch &launch : table_.launches()) {
    llmrt::Result<Pipeline> pipeline = pipelines.of(table_.code(), *launch.entry);
    if (!pipeline)
      return table_.blame(launch, pipeline.status());
    bound_.push_back({*pipeline, 0});
  }
  pipelines.store();
  if (Status status = make_sets(); !status.ok())
    return status;
  for (size_t i = 0; i < bound_.size(); ++i)
    if (Status status = bind(table_.launches()[i], bound_[i].set); !status.ok())
      return table_.blame(table_.launches()[i], status);
  return ok_status();
}

// ---- operands ------------------------------------------------------------------------------------------------------

Status Program::make_sets() {
  DescriptorPoolSize size;
  std::vector<Handle> layouts;
  for (const gpu::Launch &launch : table_.launches())
    size.count += launch.operand_count + 1;
  for (const Bound &bound : bound_)
    layouts.push_back(bound.pipeline.set_layout);
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
    api.CmdBindDescriptorSets(commands, kBindPointCompute, bound_[i].pipeline.layout, 0, 1, &bound_[i].set, 0,
                              nullptr);
    api.CmdBindPipeline(commands, kBindPointCompute, bound_[i].pipeline.pipeline);
    api.CmdDispatchIndirect(commands, memory_.block.handle, Size(table_.launches()[i].groups()));
  }
  full_barrier(context_, commands);
}

} // namespace llmrt::vk
