#pragma once

namespace llmrt {

inline constexpr const char *kVersion = "0.1.0";

} // namespace llmrt
