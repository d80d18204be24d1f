// How large everything is: from an artifact, the user's options and the memory there is to limits and pools. The rule
// is written down in docs/memory.md.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"
#include "runtime/device/device.h"
#include "runtime/engine/engine.h"
#include "runtime/kv/kv_cache.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmrt {

struct GroupSizing {
  std::string name;
  int64_t window = 0;         // 0: all tokens
  int64_t bytes_per_page = 0; // over all layers
  int64_t pages = 0;
};

struct Sizing {
  Limits limits;
  int64_t max_model_len = 0;
  int64_t page_tokens = 16;
  int64_t hidden_width = 0; // of a hidden state; 0: none are made
  int64_t chunk_tokens = 0;
  int64_t max_queue = 0, max_queue_tokens = 0;
  std::vector<GroupSizing> groups;
  std::string notice; // what a user should be told: a length that was lowered; empty if nothing
};

// `target`: of the device. `available_bytes`: of memory that can be taken, for the default size of the pools.
// kInvalidArgument for options that cannot work, with the figure that would; kUnsupported for cache groups this runtime
// does not know.
Result<Sizing> size_engine(const schema::Artifact &meta, std::string_view target, const EngineOptions &options,
                           int64_t available_bytes);
KvOptions kv_options(const Sizing &sizing, bool prefix_caching);

// For --print-memory --json. `formula` is an expression of +, * and integers in the names of `symbols`, whose value is
// private_bytes: what the process may take of private writable memory (RLIMIT_DATA) from start to end.
struct MemoryReport {
  std::string formula;
  std::vector<std::pair<std::string, int64_t>> symbols;
  int64_t mapped_bytes = 0; // the artifact: shared, read-only, not part of private_bytes
  int64_t private_bytes = 0;
  int64_t kv_bytes_per_page = 0; // of all cache groups together
};

struct ProcessMemory {
  int64_t threads = 1;            // that run kernels
  int64_t scratch_per_thread = 0; // of the kernels
  int64_t stack_per_thread = 1 << 20;
  int64_t other_bytes = 24 << 20; // what the caller needs beside the engine: its code's data, text, its buffers
};

// Of the CPU's device: another's memory is not the process's.
MemoryReport report_memory(const Artifact &artifact, const Sizing &sizing, const ProcessMemory &process);

} // namespace llmrt
