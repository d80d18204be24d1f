// What this machine's CPU can do, and which of an artifact's tiers it runs.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"

#include <cstdint>
#include <span>
#include <string>

namespace llmrt {

struct CpuInfo {
  uint32_t architecture = 0; // llmrt_architecture; 0 where there are no kernels for it
  uint64_t features = 0;     // LLMRT_FEATURE_*, of those whose registers the system saves too
};

// By CPUID and XCR0 on x86-64, by the auxiliary vector on arm64.
CpuInfo detect_cpu();

// The name of the best tier known to this version: what `native` means. Empty below all of them.
std::string best_tier_name(const CpuInfo &cpu);

// The index of the code segment to run: that of the tier named `forced`, or, if that is empty or "native", the most
// able one whose features are all there and which is none of `without`. kUnsupported names what the artifact has and
// what this machine lacks.
Result<uint32_t> select_tier(const Artifact &artifact, const CpuInfo &cpu, const std::string &forced,
                             std::span<const uint32_t> without = {});

} // namespace llmrt
