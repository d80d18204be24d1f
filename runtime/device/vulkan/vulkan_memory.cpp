#include "runtime/device/vulkan/vulkan_memory.h"

#include "runtime/base/text.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace llmrt::vk {

Buffer::~Buffer() {
  if (!context_)
    return;
  const Api &api = context_->api();
  if (buffer_)
    api.DestroyBuffer(context_->device(), buffer_, nullptr);
  if (memory_)
    api.FreeMemory(context_->device(), memory_, nullptr); // unmaps
}

void Buffer::swap(Buffer &other) {
  std::swap(context_, other.context_);
  std::swap(buffer_, other.buffer_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(data_, other.data_);
}

Status Buffer::allocate(Place place) {
  const Api &api = context_->api();
  MemoryRequirements needs;
  api.GetBufferMemoryRequirements(context_->device(), buffer_, &needs);
  constexpr uint32_t kHost = kMemoryHostVisible | kMemoryHostCoherent;
  uint32_t wish = place == Place::kDevice   ? kMemoryDeviceLocal
                  : place == Place::kUpload ? kHost
                                            : kHost | kMemoryHostCached;
  int type = context_->memory_type(needs.types, wish);
  if (type < 0) // cached memory that is coherent need not exist
    type = context_->memory_type(needs.types, place == Place::kDevice ? 0 : kHost);
  if (type < 0)
    return Status(StatusCode::kUnsupported, "Vulkan has no memory of the kind that is needed");
  MemoryAllocateInfo info;
  info.bytes = needs.bytes;
  info.memory_type = uint32_t(type);
  if (Status status = context_->check(api.AllocateMemory(context_->device(), &info, nullptr, &memory_), "memory");
      !status.ok())
    return status;
  return context_->check(api.BindBufferMemory(context_->device(), buffer_, memory_, 0), "binding memory");
}

llmrt::Result<Buffer> Buffer::create(Context &context, int64_t bytes, Place place, const std::string &what) {
  Buffer buffer;
  buffer.context_ = &context;
  buffer.bytes_ = (std::max<int64_t>(bytes, 4) + 3) / 4 * 4;
  BufferCreateInfo info;
  info.bytes = Size(buffer.bytes_);
  info.usage = kBufferStorage | kBufferIndirect | kBufferTransferSource | kBufferTransferTarget;
  auto failed = [&](const Status &status) {
    return Status(status.code(), what + ", " + format_bytes(uint64_t(buffer.bytes_)) + " on " + context.name() + ": " +
                                     status.message());
  };
  const Api &api = context.api();
  if (Status status = context.check(api.CreateBuffer(context.device(), &info, nullptr, &buffer.buffer_), "a buffer");
      !status.ok())
    return failed(status);
  if (Status status = buffer.allocate(place); !status.ok())
    return failed(status);
  if (place == Place::kDevice)
    return buffer;
  void *data = nullptr;
  if (Status status =
          context.check(api.MapMemory(context.device(), buffer.memory_, 0, kWholeSize, 0, &data), "mapping memory");
      !status.ok())
    return failed(status);
  buffer.data_ = static_cast<std::byte *>(data);
  std::memset(buffer.data_, 0, size_t(buffer.bytes_));
  return buffer;
}

void full_barrier(const Context &context, Dispatchable commands) {
  MemoryBarrier barrier;
  barrier.from = kAccessShaderWrite | kAccessTransferWrite;
  barrier.to = kAccessShaderRead | kAccessShaderWrite | kAccessTransferRead | kAccessTransferWrite |
               kAccessIndirectRead;
  constexpr uint32_t kStages = kStageCompute | kStageTransfer;
  context.api().CmdPipelineBarrier(commands, kStages, kStages | kStageDrawIndirect, 0, 1, &barrier, 0, nullptr, 0,
                                   nullptr);
}

Status upload(Context &context, std::span<const std::byte> source, Handle target, const Buffer &staging) {
  for (size_t at = 0; at < source.size();) {
    size_t bytes = std::min(source.size() - at, size_t(staging.bytes()));
    std::memcpy(staging.data(), source.data() + at, bytes);
    Status status = context.run_once([&](Dispatchable commands) {
      BufferCopy copy{0, at, bytes};
      context.api().CmdCopyBuffer(commands, staging.handle(), target, 1, &copy);
      full_barrier(context, commands);
    });
    if (!status.ok())
      return status;
    at += bytes;
  }
  return ok_status();
}

Status clear(Context &context, Handle buffer) {
  return context.run_once([&](Dispatchable commands) {
    context.api().CmdFillBuffer(commands, buffer, 0, kWholeSize, 0);
    full_barrier(context, commands);
  });
}

} // namespace llmrt::vk
