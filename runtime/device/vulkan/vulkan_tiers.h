// Which of an artifact's tiers for Vulkan a device runs.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmrt::vk {

struct Tier {
  uint32_t segment; // of the artifact
  std::string name;
  uint64_t features; // LLMRT_FEATURE_* that its kernels need
};

// All of the artifact, those that need most first.
std::vector<Tier> tiers_of(const Artifact &artifact);

// Those that a device with these features runs; the one of the name `forced` alone, if that is not empty. kUnsupported,
// with what is there and what the device lacks, if that is none.
llmrt::Result<std::vector<Tier>> runnable_tiers(const Artifact &artifact, uint64_t features, const std::string &forced);

} // namespace llmrt::vk
