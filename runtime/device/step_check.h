// What every device checks of a step before it runs: kernels index with these values, and the artifact's verifier has
// shown that they stay inside their buffers if the values are below their bounds.
#pragma once

#include "runtime/device/device.h"

namespace llmrt {

// Every limit is from 1 (hidden rows: 0) to 2^31 - 1: they are int32 in the step block.
Status check_limits(const schema::Artifact &meta, const Limits &limits);

// The shape is within the limits, and every id, position, sequence, row and page of the step is below its bound.
Status check_step(const schema::Artifact &meta, const Limits &limits, const StepShape &shape, const StepBlock &block);

// The arrays of a step block that begins at `base`, as step_block_layout() lays them out.
StepBlock step_block_at(std::byte *base, const Limits &limits, int groups);

} // namespace llmrt
