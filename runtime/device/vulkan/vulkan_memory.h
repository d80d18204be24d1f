// Buffers with memory of their own, and copies between them.
#pragma once

#include "runtime/device/gpu/backend.h"
#include "runtime/device/vulkan/vulkan_context.h"

#include <cstddef>
#include <span>

namespace llmrt::vk {

using gpu::Place;

// Destroyed with its memory. The context must outlive it.
class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();
  // kExhausted with `what` where the memory is not there. Host places are mapped, coherent, and zero at first.
  static llmrt::Result<Buffer> create(Context &context, int64_t bytes, Place place, const std::string &what);

  Handle handle() const { return buffer_; }
  int64_t bytes() const { return bytes_; }
  std::byte *data() const { return data_; } // null for the device's own
  gpu::Memory memory() const { return {buffer_, bytes_, data_}; }

private:
  void swap(Buffer &other);
  Status allocate(Place place);

  Context *context_ = nullptr;
  Handle buffer_ = 0, memory_ = 0;
  int64_t bytes_ = 0;
  std::byte *data_ = nullptr;
};

// Everything written before is there for what follows: copies, kernels, group counts.
void full_barrier(const Context &context, Dispatchable commands);

// Copies `source` to `target`, `staging` (Place::kUpload) at a time.
Status upload(Context &context, std::span<const std::byte> source, Handle target, const Buffer &staging);

// Zeroes the whole buffer.
Status clear(Context &context, Handle buffer);

} // namespace llmrt::vk
