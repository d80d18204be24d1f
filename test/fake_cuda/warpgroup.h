// What the threads of four warps do together, on chip 9.0.
#pragma once

#include "ptx.h"

#include <string>

namespace ptx {

inline constexpr uint32_t kWarpgroupThreads = 128;

// Of an instruction that 128 threads execute as one, on the first of them, with the others behind it; null for others.
Action warpgroup_action(const std::string &name);

} // namespace ptx
