// A GPU as a device, whatever drives it: memory, weights, steps.
#pragma once

#include "runtime/artifact/code_table.h"
#include "runtime/device/device.h"
#include "runtime/device/gpu/backend.h"

#include <memory>

namespace llmrt::gpu {

// `code`: the artifact's for this backend.
std::unique_ptr<Device> make_device(std::shared_ptr<const Artifact> artifact, CodeTable code,
                                    std::unique_ptr<Backend> backend);

} // namespace llmrt::gpu
