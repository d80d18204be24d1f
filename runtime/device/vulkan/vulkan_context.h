// A Vulkan device that is open: one queue, buffers, and commands that are waited for.
#pragma once

#include "runtime/device/vulkan/vulkan_api.h"
#include "runtime/device/vulkan/vulkan_features.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llmrt::vk {

struct DeviceInfo {
  std::string name;
  DeviceType type = kOther;
  uint64_t features = 0; // LLMRT_FEATURE_*
};
// "discrete", "integrated", "virtual", "software", "other"
const char *type_text(DeviceType type);

class Context {
public:
  // Opens the device at `wanted`, an index into what list() gives; -1: a discrete one before an integrated, a virtual
  // and a software one. kUnsupported if there is none; the message lists those that there are.
  static llmrt::Result<std::unique_ptr<Context>> open(int wanted);
  // The devices of this machine that can compute; empty without Vulkan.
  static std::vector<DeviceInfo> list();
  ~Context();
  Context(const Context &) = delete;

  const Api &api() const { return api_; }
  Dispatchable device() const { return device_; }
  const PhysicalDeviceProperties &properties() const { return properties_; }
  std::string name() const { return properties_.name; }
  uint64_t features() const { return optional_.features(); } // LLMRT_FEATURE_*, all of them enabled
  FloatControls float_controls() const { return optional_.float_controls(); }
  SubgroupSizes subgroup_sizes() const { return optional_.subgroup_sizes(); }
  // Bytes of the largest heap that is the device's own.
  int64_t memory_bytes() const;

  // The index of the first memory type of `allowed` (a bit each) that has all of `flags`; -1 if there is none.
  int memory_type(uint32_t allowed, uint32_t flags) const;

  llmrt::Result<Dispatchable> new_commands();
  Status begin(Dispatchable commands);
  Status end(Dispatchable commands);
  // Submits, and waits until everything is done.
  Status run(const Dispatchable *commands, uint32_t count);
  // Records with `record`, runs, waits. For what is done once or between steps.
  Status run_once(const std::function<void(Dispatchable commands)> &record);

  // `result` as a Status: "WHAT: VK_ERROR_...", kExhausted where it is about memory.
  Status check(Result result, const char *what) const;

private:
  Context() = default;
  Status open_instance();
  Status open_device(Dispatchable physical);
  Status open_logical(Dispatchable physical);
  Status make_signal();
  Status run_on_timeline(SubmitInfo &info);
  struct Candidate {
    Dispatchable physical;
    DeviceInfo info;
    uint32_t family;
  };
  llmrt::Result<std::vector<Candidate>> candidates() const;

  Api api_;
  Dispatchable instance_ = nullptr, device_ = nullptr, queue_ = nullptr, once_ = nullptr;
  uint32_t family_ = 0;
  Handle command_pool_ = 0;
  Handle fence_ = 0, timeline_ = 0; // one of them: a timeline where the device has it
  uint64_t submitted_ = 0;          // what the timeline is at when everything submitted is done
  OptionalFeatures optional_;
  PhysicalDeviceProperties properties_{};
  PhysicalDeviceMemoryProperties memory_{};
};

} // namespace llmrt::vk
