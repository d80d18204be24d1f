// What this machine can do at best, measured the way kernels use it: the limits that `llmrt bench` compares with.
#pragma once

#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrt {

// Bytes read from memory, in GB (1e9) a second, by `threads` threads that each stream over their part of a block
// larger than the caches; the best of a few passes.
Result<double> measure_read_gbps(int threads);
// The same over `data`, a mapped file for instance, of which whole MiB are read; at least one.
Result<double> measure_read_gbps(int threads, std::span<const std::byte> data);

// Operations (a multiplication or an addition is one) of int8 dot products, in 1e9 a second, on all threads, by the
// best instruction that `features` (LLMRT_FEATURE_*) has: vpdpbusd in 512 or 256 bits, maddubs, sdot or smmla. Operands
// are in registers. 0 if there is none. AMX is left out: what is computed by tiles may exceed this.
Result<double> measure_dot_gops(int threads, uint64_t features);

} // namespace llmrt
