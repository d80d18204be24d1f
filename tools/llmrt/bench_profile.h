// Where the time of bench's steps goes: a table of dispatches for people, a trace for chrome://tracing or Perfetto.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"
#include "runtime/device/cpu/cpu_profile.h"

#include <string>

namespace llmrt::tool {

// The dispatches of a timed stretch of steps.
struct ProfiledSteps {
  CpuProfile profile;
  double seconds = 0; // of the whole stretch: what its dispatches did not take is overhead
};

// A line for each kind of dispatch (those of equal layers added up): time a step, bytes and operations a step, and
// their shares of the limits, then what the steps took beside their dispatches.
std::string profile_table(const Artifact &artifact, const ProfiledSteps &steps, double read_gbps, double dot_gops);

// The profile's spans as Chrome's trace format ("traceEvents"), written to a temporary name and renamed to `path`.
Status write_trace(const Artifact &artifact, const CpuProfile &profile, const std::string &path);

} // namespace llmrt::tool
