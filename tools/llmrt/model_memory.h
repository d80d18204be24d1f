// How much memory a model takes: for --print-memory, and for a server that decides whether one more fits.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/engine/sizing.h"
#include "runtime/session/model.h"

#include <cstdint>
#include <vector>

namespace llmrt::tool {

struct MeasuredModel {
  MemoryReport report;
  std::string notice; // Sizing's
};

// Is it the CPU that would run the artifact? Only there the memory is known beforehand.
bool runs_on_cpu(const Artifact &artifact, const ModelOptions &options);
// `available_bytes`: as in size_engine(). kInvalidArgument: flags that cannot work, with the figure that would.
Result<MeasuredModel> measure_memory(const Artifact &artifact, const ModelOptions &options, int64_t available_bytes,
                                     int server_threads);
// What one more model may count on: what there is now, but no more than what was there at `start_bytes` without what
// others were promised, touched or not. 1 at least; 0 where the system does not say.
int64_t available_beside(int64_t start_bytes, int64_t promised_bytes);
// The same less the weights that are not in the file, which are made before anything else is sized. 1 at least.
int64_t available_beside_made(const Artifact &artifact, int64_t available_bytes);
int64_t kv_bytes_of(const Model &model);

} // namespace llmrt::tool
