// What the threads of a warp do together.
#pragma once

#include "ptx.h"

#include <string>

namespace ptx {

inline constexpr uint32_t kWarpThreads = 32;

// Of an instruction that 32 threads execute as one, on the first of them, with the others behind it; null for others.
Action warp_action(const std::string &name);

// The instruction may be that of a workgroup of fewer threads.
bool lone_warp(const Instruction &instruction, uint32_t threads);

} // namespace ptx
