#include "runtime/device/vulkan/vulkan_alone.h"

#include <algorithm>
#include <cstring>

namespace llmrt::vk {

Status LoneRunner::make_room(int64_t bytes) {
  if (bytes <= device_.bytes())
    return ok_status();
  constexpr const char *kWhat = "memory to try a kernel in";
  llmrt::Result<Buffer> host = Buffer::create(context_, bytes, Place::kUpload, kWhat);
  if (!host)
    return host.status();
  llmrt::Result<Buffer> device = Buffer::create(context_, bytes, Place::kDevice, kWhat);
  if (!device)
    return device.status();
  host_ = *std::move(host);
  device_ = *std::move(device);
  return ok_status();
}

Status LoneRunner::bind(const gpu::BoundKernel &kernel, Handle set) const {
  std::vector<DescriptorBufferInfo> buffers;
  for (const gpu::Region &region : kernel.bindings)
    buffers.push_back({device_.handle(), Size(region.offset), Size(region.bytes)});
  std::vector<WriteDescriptorSet> writes(buffers.size());
  for (uint32_t i = 0; i < writes.size(); ++i) {
    if (kernel.bindings[i].bytes > int64_t(context_.properties().limits.max_storage_buffer_range))
      return Status(StatusCode::kExhausted, "an operand is larger than the device can bind");
    writes[i].set = set;
    writes[i].binding = i;
    writes[i].buffers = &buffers[i];
  }
  context_.api().UpdateDescriptorSets(context_.device(), uint32_t(writes.size()), writes.data(), 0, nullptr);
  return ok_status();
}

Status LoneRunner::submit(const gpu::BoundKernel &kernel, const Pipeline &pipeline, Handle set) {
  const Api &api = context_.api();
  std::memcpy(host_.data(), kernel.block.data(), kernel.block.size());
  Status status = context_.run_once([&](Dispatchable commands) {
    BufferCopy copy{0, 0, kernel.block.size()};
    api.CmdCopyBuffer(commands, host_.handle(), device_.handle(), 1, &copy);
    full_barrier(context_, commands);
    api.CmdBindDescriptorSets(commands, kBindPointCompute, pipeline.layout, 0, 1, &set, 0, nullptr);
    api.CmdBindPipeline(commands, kBindPointCompute, pipeline.pipeline);
    api.CmdDispatchIndirect(commands, device_.handle(), Size(kernel.groups_at));
    full_barrier(context_, commands);
    api.CmdCopyBuffer(commands, device_.handle(), host_.handle(), 1, &copy);
    MemoryBarrier barrier;
    barrier.from = kAccessTransferWrite;
    barrier.to = kAccessHostRead;
    api.CmdPipelineBarrier(commands, kStageTransfer, kStageHost, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  });
  if (status.ok())
    std::memcpy(kernel.block.data(), host_.data(), kernel.block.size());
  return status;
}

Status LoneRunner::run(const gpu::BoundKernel &kernel) {
  llmrt::Result<Pipeline> pipeline = pipelines_.of(*kernel.code, *kernel.entry);
  if (!pipeline)
    return pipeline.status();
  if (Status status = make_room(int64_t(kernel.block.size())); !status.ok())
    return status;
  const Api &api = context_.api();
  DescriptorPoolSize size;
  size.count = uint32_t(kernel.bindings.size());
  DescriptorPoolCreateInfo pool;
  pool.max_sets = 1;
  pool.sizes = &size;
  Handle sets = 0, set = 0;
  if (Status status =
          context_.check(api.CreateDescriptorPool(context_.device(), &pool, nullptr, &sets), "a descriptor pool");
      !status.ok())
    return status;
  DescriptorSetAllocateInfo info;
  info.pool = sets;
  info.count = 1;
  info.layouts = &pipeline->set_layout;
  Status status = context_.check(api.AllocateDescriptorSets(context_.device(), &info, &set), "descriptor sets");
  if (status.ok())
    status = bind(kernel, set);
  if (status.ok())
    status = submit(kernel, *pipeline, set);
  api.DestroyDescriptorPool(context_.device(), sets, nullptr);
  return status;
}

} // namespace llmrt::vk
