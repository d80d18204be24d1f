// A CUDA device that is open: its primary context, one stream, and what is waited for on it.
#pragma once

#include "runtime/device/cuda/cuda_api.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::cuda {

struct Chip {
  int major = 0, minor = 0;
  int number() const { return 10 * major + minor; }
};

struct DeviceInfo {
  std::string name; // "NVIDIA H200"
  Chip chip;
  std::string text() const { return name + " (sm_" + std::to_string(chip.number()) + ")"; }
};

// How well code of a tier (compute_75, sm_80, sm_90a) suits a chip; 0 if it does not run there. Machine code runs on
// later chips of its major version, with an "a" behind on that very chip alone; PTX on all later ones.
int fitness(std::string_view tier, Chip chip);

class OpenDevice {
public:
  // Opens device `index`, from 0 on. kUnsupported if there is none; the message lists those that there are.
  static llmrt::Result<std::unique_ptr<OpenDevice>> open(int index);
  // The devices of this machine; empty without CUDA.
  static std::vector<DeviceInfo> list();
  ~OpenDevice();
  OpenDevice(const OpenDevice &) = delete;

  const Api &api() const { return api_; }
  const DeviceInfo &info() const { return info_; }
  Stream stream() const { return stream_; }
  // Makes the device the calling thread's; before every use, for a device is not always used by the same thread.
  Status enter() const { return api_.check(api_.CtxSetCurrent(context_), "entering the device"); }
  Status wait() const { return api_.check(api_.StreamSynchronize(stream_), "running kernels"); }

private:
  OpenDevice() = default;
  static llmrt::Result<std::vector<DeviceInfo>> list(const Api &api);
  Status start(int index);

  Api api_;
  DeviceInfo info_;
  Device device_ = 0;
  Context context_ = nullptr;
  Stream stream_ = nullptr;
};

} // namespace llmrt::cuda
