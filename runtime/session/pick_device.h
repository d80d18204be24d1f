// Which device runs an artifact, and opening it.
#pragma once

#include "runtime/device/device.h"
#include "runtime/session/model.h"

namespace llmrt {

struct DevicePick {
  std::string device; // as ModelOptions::device
  std::string why;    // for people
};
// What runs the artifact where nobody says: CUDA before hardware with Vulkan before the CPU, and software Vulkan only
// where the artifact has no code for the CPU.
DevicePick pick_device(const Artifact &artifact);

// For people, a line for each device with Vulkan: which tier of the artifact it would run, and why. Empty where the
// artifact has no code for Vulkan.
std::vector<std::string> tier_picks(const Artifact &artifact);

struct OpenDevice {
  std::unique_ptr<Device> device;
  std::string name;     // "cpu", "cuda <the device's own name>", "vulkan <...>"
  std::string cpu_tier; // in use; empty but on the CPU
  int threads = 1;
};
// kInvalidArgument: there is no such kind of device. kUnsupported: not on this machine or not in this artifact, with
// what there is. kInternal: a kernel failed its self-test, and nothing else can run the artifact; what could is taken, and
// the log says so.
Result<OpenDevice> open_device(const ModelOptions &options, std::shared_ptr<const Artifact> artifact);

} // namespace llmrt
