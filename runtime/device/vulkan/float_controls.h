// Modes of 32-bit floats that SPIR-V modules declare where the device offers them (SPV_KHR_float_controls). A module that
// declares a mode which a device lacks is invalid there, so modules in artifacts declare none, and a module is given those
// of its device when it is loaded.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt::vk {

struct FloatControls {
  bool round_to_even = false;  // RoundingModeRTE
  bool keep_denormals = false; // DenormPreserve
  bool keep_special = false;   // SignedZeroInfNanPreserve: a NaN stays one, and so shows
  bool any() const { return round_to_even || keep_denormals || keep_special; }
};

// The module with its one entry point in these modes. kCorrupt if its first sections are not as SPIR-V has them
// (section 2.4 of the specification, "Logical Layout of a Module").
llmrt::Result<std::vector<uint32_t>> declare_float_controls(std::span<const uint32_t> module,
                                                            const FloatControls &controls);

} // namespace llmrt::vk
