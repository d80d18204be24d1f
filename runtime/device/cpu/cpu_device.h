// The CPU as a device: an artifact's tier, run by a pool of threads.
#pragma once

#include "runtime/abi/kernel.h"
#include "runtime/device/cpu/code_loader.h"
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/cpu_profile.h"
#include "runtime/device/device.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace llmrt {

struct CpuDeviceOptions {
  int threads = 0;                 // the caller of run() included; 0: one for each usable processor
  std::string tier;                // empty or "native": the best that the artifact has for this machine
  LoadMode mode = LoadMode::kAuto;
  std::span<const llmrt_static_kernel> static_kernels; // for kStatic; must outlive the device
  CpuProfile *profile = nullptr;   // set: every dispatch is timed; must outlive the device
};

// kUnsupported: no tier runs here, or not the one asked for. Starts the threads; prepare() takes the memory.
Result<std::unique_ptr<Device>> make_cpu_device(std::shared_ptr<const Artifact> artifact,
                                                const CpuDeviceOptions &options);

// The tier that make_cpu_device() takes for the same options.
Result<std::string> cpu_tier(const Artifact &artifact, const std::string &tier);

// The best tier whose kernels make of the artifact's golden vectors what they should; one that does not is said so in the
// log. kInternal, with the kernel and what differed: none does, or not the one asked for.
Result<std::string> tested_cpu_tier(const Artifact &artifact, const CpuDeviceOptions &options);

// Scratch bytes a thread needs for steps within `limits`: the last argument of plan_memory(). kExhausted if it does
// not fit into 63 bits.
Result<int64_t> cpu_scratch_per_thread(const Artifact &artifact, const std::string &tier, const Limits &limits);

} // namespace llmrt
