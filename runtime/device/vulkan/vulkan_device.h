// A GPU through Vulkan as a device: an artifact's SPIR-V modules, run on one queue.
#pragma once

#include "runtime/device/device.h"
#include "runtime/device/gpu/backend.h"
#include "runtime/device/gpu/gpu_options.h"

#include <memory>
#include <string>
#include <vector>

namespace llmrt {

// kUnsupported: the artifact has no code for Vulkan, or this machine no such device; the message lists what there is.
// kInternal: a kernel of every tier that the device runs failed the self-test, or of the one asked for.
// Opens the device; prepare() takes the memory and uploads the weights.
Result<std::unique_ptr<Device>> make_vulkan_device(std::shared_ptr<const Artifact> artifact,
                                                   const GpuOptions &options);

// The device alone, for running kernels by themselves; `index` as in the options. `features`: where to put what it can do
// (LLMRT_FEATURE_*), or null.
Result<std::unique_ptr<gpu::Backend>> open_vulkan(int index, uint64_t *features);

// The devices of this machine, for people: "NVIDIA H200 (discrete)"; empty without Vulkan.
std::vector<std::string> vulkan_devices();
// For each of them what it would run of the artifact and why: "NVIDIA H200 (discrete): tier spirv1.3-storage16; it has
// storage16, float16".
std::vector<std::string> vulkan_picks(const Artifact &artifact);
// One of them is hardware, not software on the CPU.
bool has_vulkan_hardware();

// The artifact has code for Vulkan.
bool has_vulkan_code(const Artifact &artifact);

} // namespace llmrt
