#include "runtime/device/cuda/cuda_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/device/cuda/cuda_kernels.h"
#include "runtime/device/gpu/gpu_device.h"
#include "runtime/device/gpu/lone_run.h"
#include "runtime/device/gpu/step_table.h"

#include <algorithm>
#include <cstring>

namespace llmrt {

namespace cuda {

namespace {

constexpr int64_t kStaging = int64_t(16) << 20; // each of two
// Kernels count elements of 16 bits in 32 bits, words in 31.
constexpr int64_t kMaxOperand = int64_t(UINT32_MAX) / 4096 * 4096;

// All launches of a step of up to `tokens` tokens.
struct Bucket {
  int64_t tokens;
  GraphExec graph;
};

class CudaBackend final : public gpu::Backend {
public:
  CudaBackend(std::shared_ptr<OpenDevice> device, Kernels kernels)
      : device_(std::move(device)), kernels_(std::move(kernels)) {}
  ~CudaBackend() override;

  std::string name() const override { return "cuda " + device_->info().name; }
  std::string_view target() const override { return kCudaTarget; }
  int64_t memory_bytes() const override;
  int64_t max_operand_bytes() const override { return kMaxOperand; }
  int64_t row_alignment() const override { return 16; }
  Result<gpu::Memory> take(int64_t bytes, gpu::Place place, const char *what) override;
  Status upload(std::span<const std::byte> source, const gpu::Memory &target) override;
  Status clear(const gpu::Memory &memory) override;
  Status copy(std::span<const gpu::Memory> memories, int64_t from, int64_t to, int64_t bytes) override;
  Status record(gpu::StepTable &table, const gpu::StepMemory &memory) override;
  Status run(int64_t tokens, std::span<const gpu::Output> outputs) override;
  Status fetch(std::span<const gpu::Output> outputs) override;
  Status run_alone(const gpu::BoundKernel &kernel) override;

private:
  const Api &api() const { return device_->api(); }
  Status launch_all(const gpu::StepTable &table, int64_t first_tokens, int64_t last_tokens);
  Status launch(const gpu::StepTable &table, const gpu::Launch &launch, uint32_t groups);
  Status launch(const Kernels::Function &kernel, std::span<const Address> arguments, uint32_t groups);
  Status record_bucket(const gpu::StepTable &table, int64_t first_tokens, int64_t last_tokens);

  std::shared_ptr<OpenDevice> device_;
  Kernels kernels_;
  std::vector<Address> own_;  // memory of the device
  std::vector<void *> host_;  // pinned memory of the host
  std::vector<Bucket> buckets_;
  const gpu::StepMemory *memory_ = nullptr;
  gpu::Memory lone_; // that kernels by themselves run in
};

CudaBackend::~CudaBackend() {
  if (!device_->enter().ok())
    return;
  api().StreamSynchronize(device_->stream());
  for (const Bucket &bucket : buckets_)
    api().GraphExecDestroy(bucket.graph);
  for (Address address : own_)
    api().MemFree(address);
  for (void *data : host_)
    api().MemFreeHost(data);
}

// ---- memory --------------------------------------------------------------------------------------------------------

int64_t CudaBackend::memory_bytes() const {
  size_t free = 0, total = 0;
  if (!device_->enter().ok() || api().MemGetInfo(&free, &total) != kSuccess)
    return 0;
  return int64_t(free);
}

Result<gpu::Memory> CudaBackend::take(int64_t bytes, gpu::Place place, const char *what) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  gpu::Memory memory;
  memory.bytes = (std::max<int64_t>(bytes, 4) + 3) / 4 * 4;
  void *data = nullptr;
  Code code = place == gpu::Place::kDevice ? api().MemAlloc(&memory.handle, size_t(memory.bytes))
                                           : api().MemHostAlloc(&data, size_t(memory.bytes), 0);
  if (Status status = api().check(code, "memory"); !status.ok())
    return Status(status.code(), std::string(what) + ", " + format_bytes(uint64_t(memory.bytes)) + " on " +
                                     device_->info().name + ": " + status.message());
  if (place == gpu::Place::kDevice) {
    own_.push_back(memory.handle);
    return memory;
  }
  host_.push_back(data);
  memory.data = static_cast<std::byte *>(std::memset(data, 0, size_t(memory.bytes)));
  return memory;
}

// Through pinned memory, half of which is filled while the other is on its way.
Status CudaBackend::upload(std::span<const std::byte> source, const gpu::Memory &target) {
  Result<gpu::Memory> staging =
      take(2 * std::min(kStaging, int64_t(source.size())), gpu::Place::kUpload, "weights on their way");
  if (!staging)
    return staging.status();
  size_t half = size_t(staging->bytes / 2), at = 0;
  Status status;
  for (int turn = 0; at < source.size() && status.ok(); turn ^= 1) {
    size_t bytes = std::min(source.size() - at, half);
    std::byte *from = staging->data + (turn ? half : 0);
    std::memcpy(from, source.data() + at, bytes);
    status = device_->wait(); // for the half before, so that the next turn may fill it
    if (status.ok())
      status = api().check(api().MemcpyHtoDAsync(target.handle + at, from, bytes, device_->stream()), "uploading");
    at += bytes;
  }
  if (Status last = device_->wait(); status.ok())
    status = last;
  host_.pop_back();
  api().MemFreeHost(staging->data);
  return status;
}

Status CudaBackend::clear(const gpu::Memory &memory) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  Code code = api().MemsetD8Async(memory.handle, 0, size_t(memory.bytes), device_->stream());
  if (Status status = api().check(code, "clearing memory"); !status.ok())
    return status;
  return device_->wait();
}

Status CudaBackend::copy(std::span<const gpu::Memory> memories, int64_t from, int64_t to, int64_t bytes) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  for (const gpu::Memory &memory : memories) {
    Code code = api().MemcpyDtoDAsync(memory.handle + Address(to), memory.handle + Address(from), size_t(bytes),
                                      device_->stream());
    if (Status status = api().check(code, "copying a page"); !status.ok())
      return status;
  }
  return device_->wait();
}

// ---- steps ---------------------------------------------------------------------------------------------------------

// Operands begin where their pointers point, so the words that say where they begin stay 0.
Status CudaBackend::launch(const gpu::StepTable &table, const gpu::Launch &launch, uint32_t groups) {
  std::array<Address, kMaxKernelOperands + 1> arguments;
  arguments[0] = memory_->block.handle + Address(launch.row);
  for (uint32_t i = 0; i < launch.operand_count; ++i) {
    Result<gpu::Region> region = table.operand(launch, i, kMaxOperand);
    if (!region)
      return region.status();
    arguments[i + 1] = region->handle + Address(region->offset);
  }
  Result<Kernels::Function> kernel = kernels_.of(table.code(), *launch.entry);
  if (!kernel)
    return kernel.status();
  return this->launch(*kernel, {arguments.data(), size_t(launch.operand_count) + 1}, groups);
}

Status CudaBackend::launch(const Kernels::Function &kernel, std::span<const Address> arguments, uint32_t groups) {
  std::array<void *, kMaxKernelOperands + 1> pointers;
  for (size_t i = 0; i < arguments.size(); ++i)
    pointers[i] = const_cast<Address *>(&arguments[i]);
  return api().check(api().LaunchKernel(kernel.function, groups, 1, 1, kernel.threads, 1, 1, 0, device_->stream(),
                                        pointers.data(), nullptr),
                     "launching a kernel");
}

Status CudaBackend::launch_all(const gpu::StepTable &table, int64_t first_tokens, int64_t last_tokens) {
  Code code = api().MemcpyHtoDAsync(memory_->block.handle, memory_->upload.data, size_t(memory_->upload.bytes),
                                    device_->stream());
  if (Status status = api().check(code, "copying the step block"); !status.ok())
    return status;
  for (const gpu::Launch &one : table.launches()) {
    Result<int64_t> groups = table.most_groups(one, first_tokens, last_tokens);
    if (!groups)
      return table.blame(one, groups.status());
    if (*groups == 0)
      continue;
    if (Status status = launch(table, one, uint32_t(*groups)); !status.ok())
      return table.blame(one, status);
  }
  return ok_status();
}

Status CudaBackend::record_bucket(const gpu::StepTable &table, int64_t first_tokens, int64_t last_tokens) {
  // Relaxed, for a driver may load a kernel's code only now.
  Code code = api().StreamBeginCapture(device_->stream(), kCaptureRelaxed);
  if (Status status = api().check(code, "recording a graph"); !status.ok())
    return status;
  Status launched = launch_all(table, first_tokens, last_tokens);
  Graph graph = nullptr;
  code = api().StreamEndCapture(device_->stream(), &graph); // also after an error: it ends the capture
  if (!launched.ok()) {
    if (graph)
      api().GraphDestroy(graph);
    return launched;
  }
  if (Status status = api().check(code, "recording a graph"); !status.ok())
    return status;
  GraphExec exec = nullptr;
  code = api().GraphInstantiate(&exec, graph, 0);
  api().GraphDestroy(graph);
  if (Status status = api().check(code, "making a graph"); !status.ok())
    return status;
  buckets_.push_back({last_tokens, exec});
  return ok_status();
}

// A graph for 1, 2, 3 to 4, 5 to 8, ... tokens. Its grids are those of its largest step; work items beyond a step's own
// end at once.
Status CudaBackend::record(gpu::StepTable &table, const gpu::StepMemory &memory) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  memory_ = &memory;
  for (int64_t first = 1, last = 1; first <= table.max_tokens(); first = last + 1, last *= 2)
    if (Status status = record_bucket(table, first, std::min(last, table.max_tokens())); !status.ok())
      return status;
  return ok_status();
}

Status CudaBackend::run(int64_t tokens, std::span<const gpu::Output> outputs) {
  if (tokens == 0)
    return ok_status();
  if (Status status = device_->enter(); !status.ok())
    return status;
  auto bucket = std::find_if(buckets_.begin(), buckets_.end(), [&](const Bucket &one) { return tokens <= one.tokens; });
  if (Status status = api().check(api().GraphLaunch(bucket->graph, device_->stream()), "starting a step");
      !status.ok())
    return status;
  return fetch(outputs);
}

Status CudaBackend::fetch(std::span<const gpu::Output> outputs) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  for (const gpu::Output &output : outputs) {
    if (output.bytes == 0)
      continue;
    Code code = api().MemcpyDtoHAsync(output.to.data + output.at, memory_->arena.handle + Address(output.from),
                                      size_t(output.bytes), device_->stream());
    if (Status status = api().check(code, "fetching logits"); !status.ok())
      return status;
  }
  return device_->wait();
}

Status CudaBackend::run_alone(const gpu::BoundKernel &kernel) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  Result<Kernels::Function> function = kernels_.of(*kernel.code, *kernel.entry);
  if (!function)
    return function.status();
  size_t bytes = kernel.block.size();
  if (lone_.bytes < int64_t(bytes)) {
    Result<gpu::Memory> memory =
        take(std::max(int64_t(bytes), 2 * lone_.bytes), gpu::Place::kDevice, "memory to try a kernel in");
    if (!memory)
      return memory.status();
    lone_ = *memory;
  }
  Stream stream = device_->stream();
  if (Status status = api().check(api().MemcpyHtoDAsync(lone_.handle, kernel.block.data(), bytes, stream), "uploading");
      !status.ok())
    return status;
  std::vector<Address> arguments;
  for (const gpu::Region &region : kernel.bindings)
    arguments.push_back(lone_.handle + Address(region.offset));
  if (Status status = launch(*function, arguments, uint32_t(kernel.groups)); !status.ok())
    return status;
  Code code = api().MemcpyDtoHAsync(kernel.block.data(), lone_.handle, bytes, stream);
  if (Status status = api().check(code, "fetching what a kernel made"); !status.ok())
    return status;
  return device_->wait();
}

// ---- opening -------------------------------------------------------------------------------------------------------

// The device with one segment's kernels, tried where that is wanted.
Result<std::unique_ptr<llmrt::Device>> load(std::shared_ptr<const Artifact> artifact,
                                            const std::shared_ptr<OpenDevice> &device, uint32_t segment,
                                            bool self_test) {
  Result<CodeTable> table = CodeTable::parse(artifact->segment(segment));
  if (!table)
    return table.status();
  Kernels kernels(*device);
  if (Status status = kernels.load(*table); !status.ok())
    return status;
  auto backend = std::make_unique<CudaBackend>(device, std::move(kernels));
  if (Status status = self_test ? gpu::self_test(*artifact, *table, *backend) : ok_status(); !status.ok())
    return status;
  return gpu::make_device(std::move(artifact), *std::move(table), std::move(backend));
}

// The best code first; where the driver does not take that or a kernel fails, the next, and it is said. kInternal where a
// kernel of any of it failed.
Result<std::unique_ptr<llmrt::Device>> load(std::shared_ptr<const Artifact> artifact,
                                            const std::shared_ptr<OpenDevice> &device, const GpuOptions &options) {
  std::vector<uint32_t> segments = segments_for(*artifact, device->info().chip);
  if (!options.tier.empty())
    std::erase_if(segments, [&](uint32_t segment) {
      return text_of(artifact->meta().segments()->Get(segment)->layout()) != options.tier;
    });
  Status last(StatusCode::kUnsupported, "the artifact has no code " +
                                            (options.tier.empty() ? "" : "of the tier " + options.tier + " ") + "that " +
                                            device->info().text() + " runs; compile it for this chip with --gpu-arch");
  bool failed = false;
  for (uint32_t segment : segments) {
    std::string tier(text_of(artifact->meta().segments()->Get(segment)->layout()));
    Result<std::unique_ptr<llmrt::Device>> made = load(artifact, device, segment, options.self_test);
    if (made)
      return made;
    failed |= made.status().code() == StatusCode::kInternal;
    last = Status(failed ? StatusCode::kInternal : made.status().code(), "code for " + tier + ": " + made.status().message());
    if (segment != segments.back())
      log(LogLevel::kWarning, last.message() + "; trying the artifact's next");
  }
  return last;
}

std::vector<std::string> devices() {
  std::vector<std::string> names;
  for (const DeviceInfo &device : OpenDevice::list())
    names.push_back(device.text());
  return names;
}

std::string tier(const Artifact &artifact) {
  std::vector<DeviceInfo> devices = OpenDevice::list();
  if (devices.empty())
    return "";
  std::vector<uint32_t> segments = segments_for(artifact, devices.front().chip);
  return segments.empty() ? "" : std::string(text_of(artifact.meta().segments()->Get(segments.front())->layout()));
}

Result<std::unique_ptr<llmrt::Device>> make(std::shared_ptr<const Artifact> artifact, const GpuOptions &options) {
  Result<std::unique_ptr<OpenDevice>> device = OpenDevice::open(std::max(options.index, 0));
  if (!device)
    return device.status();
  return load(std::move(artifact), *std::move(device), options);
}

Result<std::unique_ptr<gpu::Backend>> open(int index) {
  Result<std::unique_ptr<OpenDevice>> device = OpenDevice::open(index);
  if (!device)
    return device.status();
  Kernels none(**device);
  return std::unique_ptr<gpu::Backend>(std::make_unique<CudaBackend>(*std::move(device), std::move(none)));
}

} // namespace

} // namespace cuda

extern "C" const CudaKind llmrt_cuda = {cuda::make, cuda::devices, cuda::tier, cuda::open};

} // namespace llmrt
