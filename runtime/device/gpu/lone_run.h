// One kernel by itself on a GPU.
#pragma once

#include "runtime/device/gpu/backend.h"
#include "runtime/device/self_test.h"

namespace llmrt::gpu {

// Runs all work items of the kernel on copies of its operands and brings them back. What check_lone_kernel() says, and
// kInternal where the kernel writes outside of an operand.
Status run_alone(Backend &backend, const LoneKernel &kernel);

// llmrt::self_test() of the code on the backend.
Status self_test(const Artifact &artifact, const CodeTable &code, Backend &backend);

} // namespace llmrt::gpu
