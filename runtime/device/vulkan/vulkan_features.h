// What a device can do beyond what every device with Vulkan 1.1 can.
#pragma once

#include "runtime/device/vulkan/float_controls.h"
#include "runtime/device/vulkan/subgroups.h"
#include "runtime/device/vulkan/vulkan_api.h"

#include <array>
#include <string>
#include <vector>

namespace llmrt::vk {

class OptionalFeatures {
public:
  OptionalFeatures() = default;
  OptionalFeatures(const Api &api, Dispatchable physical);

  uint64_t features() const;             // LLMRT_FEATURE_*
  bool timeline_semaphores() const;
  FloatControls float_controls() const { return floats_; }
  SubgroupSizes subgroup_sizes() const { return sizes_; }
  // Asks for all of them. This must outlive the call that opens the device, and not be moved before.
  void enable(DeviceCreateInfo &info);

private:
  static constexpr size_t kCount = 8;
  uint64_t has_ = 0; // of the rows of the table in vulkan_features.cpp
  FloatControls floats_;
  SubgroupSizes sizes_;
  std::array<ExtensionFeatures, kCount> wanted_{};
  std::vector<const char *> extensions_;
};

} // namespace llmrt::vk
