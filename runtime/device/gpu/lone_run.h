// One kernel by itself on a GPU.
#pragma once

#include "runtime/device/gpu/backend.h"
#include "runtime/device/lone_kernel.h"

namespace llmrt::gpu {

// Runs all work items of the kernel on copies of its operands and brings them back. What check_lone_kernel() says, and
// kInternal where the kernel writes outside of an operand.
Status run_alone(Backend &backend, const LoneKernel &kernel);

} // namespace llmrt::gpu
