// Made-up weights that are not in the file (docs/random-weights.md), packed into memory as llmc would have packed them.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"

#include <memory>

namespace llmrt {

struct RandomWeightMaker {
  // An artifact like `artifact`, with the weights that it lacks in anonymous memory; `threads` of them make it.
  // kExhausted where the memory is not there, kCorrupt where a value cannot be expressed.
  Result<std::shared_ptr<const Artifact>> (*make)(std::shared_ptr<const Artifact> artifact, int threads);
};

// Null in a program that was linked statically without `-Wl,-u,llmrt_random_weights`: a small program that embeds the
// runtime has no use for them. llmrt and libllmrt.so have it.
extern "C" [[gnu::weak, gnu::visibility("hidden")]] const RandomWeightMaker llmrt_random_weights;

} // namespace llmrt
