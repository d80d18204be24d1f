#include "runtime/device/vulkan/vulkan_context.h"

#include <algorithm>

namespace llmrt::vk {

const char *type_text(DeviceType type) {
  switch (type) {
  case kDiscrete: return "discrete";
  case kIntegrated: return "integrated";
  case kVirtual: return "virtual";
  case kCpu: return "software";
  default: return "other";
  }
}

Status Context::check(Result result, const char *what) const {
  if (result == kSuccess)
    return ok_status();
  bool memory = result == -1 || result == -2 || result == -1000069000;
  std::string message = std::string("Vulkan, ") + what + ": " + result_text(result);
  if (memory)
    message += "; lower --kv-cache-memory-bytes, --max-num-batched-tokens or --max-num-seqs";
  if (result == -4)
    message += ": the driver has given the device up; the system's log says why";
  return Status(memory ? StatusCode::kExhausted : StatusCode::kUnsupported, std::move(message));
}

Status Context::open_instance() {
  llmrt::Result<Api> api = Api::open();
  if (!api)
    return api.status();
  api_ = *std::move(api);
  ApplicationInfo application;
  application.application_name = "llmrt";
  InstanceCreateInfo info;
  info.application = &application;
  if (Status status = check(api_.CreateInstance(&info, nullptr, &instance_), "creating an instance"); !status.ok())
    return status;
  return api_.load_instance(instance_);
}

llmrt::Result<std::vector<Context::Candidate>> Context::candidates() const {
  uint32_t count = 0;
  if (Status status = check(api_.EnumeratePhysicalDevices(instance_, &count, nullptr), "listing devices"); !status.ok())
    return status;
  std::vector<Dispatchable> devices(count);
  Result result = api_.EnumeratePhysicalDevices(instance_, &count, devices.data());
  if (Status status = check(result == kIncomplete ? kSuccess : result, "listing devices"); !status.ok())
    return status;
  devices.resize(count);
  std::vector<Candidate> found;
  for (Dispatchable device : devices) {
    PhysicalDeviceProperties properties;
    api_.GetPhysicalDeviceProperties(device, &properties);
    uint32_t families = 0;
    api_.GetPhysicalDeviceQueueFamilyProperties(device, &families, nullptr);
    std::vector<QueueFamilyProperties> all(families);
    api_.GetPhysicalDeviceQueueFamilyProperties(device, &families, all.data());
    auto family = std::find_if(all.begin(), all.end(), [](const auto &one) { return one.flags & kQueueCompute; });
    if (family != all.end() && properties.api_version >= kApiVersion11)
      found.push_back({device,
                       {properties.name, properties.type, OptionalFeatures(api_, device).features()},
                       uint32_t(family - all.begin())});
  }
  return found;
}

Status Context::open_logical(Dispatchable physical) {
  float priority = 1;
  DeviceQueueCreateInfo queue;
  queue.family = family_;
  queue.priorities = &priority;
  DeviceCreateInfo info;
  info.queues = &queue;
  optional_ = OptionalFeatures(api_, physical);
  optional_.enable(info);
  if (Status status = check(api_.CreateDevice(physical, &info, nullptr, &device_), "opening the device"); !status.ok())
    return status;
  return api_.load_device(device_, optional_.timeline_semaphores());
}

// What says that a submission is done.
Status Context::make_signal() {
  if (!api_.WaitSemaphores) {
    FenceCreateInfo fence;
    return check(api_.CreateFence(device_, &fence, nullptr, &fence_), "making a fence");
  }
  SemaphoreTypeCreateInfo timeline;
  SemaphoreCreateInfo semaphore;
  semaphore.next = &timeline;
  return check(api_.CreateSemaphore(device_, &semaphore, nullptr, &timeline_), "making a semaphore");
}

Status Context::open_device(Dispatchable physical) {
  api_.GetPhysicalDeviceProperties(physical, &properties_);
  api_.GetPhysicalDeviceMemoryProperties(physical, &memory_);
  if (Status status = open_logical(physical); !status.ok())
    return status;
  api_.GetDeviceQueue(device_, family_, 0, &queue_);
  CommandPoolCreateInfo pool;
  pool.family = family_;
  if (Status status = check(api_.CreateCommandPool(device_, &pool, nullptr, &command_pool_), "making a command pool");
      !status.ok())
    return status;
  if (Status status = make_signal(); !status.ok())
    return status;
  llmrt::Result<Dispatchable> once = new_commands();
  if (!once)
    return once.status();
  once_ = *once;
  return ok_status();
}

llmrt::Result<std::unique_ptr<Context>> Context::open(int wanted) {
  std::unique_ptr<Context> context(new Context);
  if (Status status = context->open_instance(); !status.ok())
    return status;
  auto found = context->candidates();
  if (!found)
    return found.status();
  std::string names;
  for (size_t i = 0; i < found->size(); ++i)
    names += (i ? "; " : "") + std::to_string(i) + ": " + (*found)[i].info.name + " (" +
             type_text((*found)[i].info.type) + ")";
  if (wanted >= int(found->size()) || found->empty())
    return Status(StatusCode::kUnsupported, wanted < 0 ? "Vulkan has no device that can compute"
                                                       : "there is no Vulkan device " + std::to_string(wanted) +
                                                             "; there are " + (names.empty() ? "none" : names));
  static constexpr DeviceType kOrder[] = {kDiscrete, kIntegrated, kVirtual, kCpu, kOther};
  for (DeviceType type : kOrder)
    for (size_t i = 0; wanted < 0 && i < found->size(); ++i)
      if ((*found)[i].info.type == type)
        wanted = int(i);
  context->family_ = (*found)[size_t(std::max(wanted, 0))].family;
  if (Status status = context->open_device((*found)[size_t(std::max(wanted, 0))].physical); !status.ok())
    return status;
  return context;
}

std::vector<DeviceInfo> Context::list() {
  Context context;
  std::vector<DeviceInfo> names;
  if (!context.open_instance().ok())
    return names;
  if (auto found = context.candidates(); found)
    for (const Candidate &one : *found)
      names.push_back(one.info);
  return names;
}

Context::~Context() {
  if (device_ && api_.DestroyDevice) {
    api_.DeviceWaitIdle(device_);
    if (fence_)
      api_.DestroyFence(device_, fence_, nullptr);
    if (timeline_)
      api_.DestroySemaphore(device_, timeline_, nullptr);
    if (command_pool_)
      api_.DestroyCommandPool(device_, command_pool_, nullptr);
    api_.DestroyDevice(device_, nullptr);
  }
  if (instance_ && api_.DestroyInstance)
    api_.DestroyInstance(instance_, nullptr);
}

int64_t Context::memory_bytes() const {
  Size most = 0;
  for (uint32_t i = 0; i < std::min<uint32_t>(memory_.heap_count, 16); ++i)
    if (memory_.heaps[i].flags & kMemoryDeviceLocal) // the same bit for heaps
      most = std::max(most, memory_.heaps[i].bytes);
  return int64_t(std::min<Size>(most, INT64_MAX));
}

int Context::memory_type(uint32_t allowed, uint32_t flags) const {
  for (uint32_t i = 0; i < std::min<uint32_t>(memory_.type_count, 32); ++i)
    if ((allowed >> i & 1) && (memory_.types[i].flags & flags) == flags)
      return int(i);
  return -1;
}

llmrt::Result<Dispatchable> Context::new_commands() {
  CommandBufferAllocateInfo info;
  info.pool = command_pool_;
  Dispatchable commands = nullptr;
  Status status = check(api_.AllocateCommandBuffers(device_, &info, &commands), "making a command buffer");
  if (!status.ok())
    return status;
  return commands;
}

Status Context::begin(Dispatchable commands) {
  CommandBufferBeginInfo info;
  return check(api_.BeginCommandBuffer(commands, &info), "recording");
}

Status Context::end(Dispatchable commands) { return check(api_.EndCommandBuffer(commands), "recording"); }

Status Context::run_on_timeline(SubmitInfo &info) {
  uint64_t done = submitted_ + 1;
  TimelineSemaphoreSubmitInfo values;
  values.signal_values = &done;
  info.next = &values;
  info.signal_count = 1;
  info.signals = &timeline_;
  if (Status status = check(api_.QueueSubmit(queue_, 1, &info, 0), "submitting a step"); !status.ok())
    return status;
  submitted_ = done;
  SemaphoreWaitInfo wait;
  wait.semaphores = &timeline_;
  wait.values = &done;
  return check(api_.WaitSemaphores(device_, &wait, UINT64_MAX), "waiting for a step");
}

Status Context::run(const Dispatchable *commands, uint32_t count) {
  SubmitInfo info;
  info.buffer_count = count;
  info.buffers = commands;
  if (timeline_)
    return run_on_timeline(info);
  if (Status status = check(api_.ResetFences(device_, 1, &fence_), "resetting a fence"); !status.ok())
    return status;
  if (Status status = check(api_.QueueSubmit(queue_, 1, &info, fence_), "submitting a step"); !status.ok())
    return status;
  return check(api_.WaitForFences(device_, 1, &fence_, 1, UINT64_MAX), "waiting for a step");
}

Status Context::run_once(const std::function<void(Dispatchable)> &record) {
  if (Status status = begin(once_); !status.ok())
    return status;
  record(once_);
  if (Status status = end(once_); !status.ok())
    return status;
  return run(&once_, 1);
}

} // namespace llmrt::vk
