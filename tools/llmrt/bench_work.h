// What a step must read and compute at least, from the artifact's own program: what bench's fractions are of.
#pragma once

#include "runtime/artifact/artifact.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace llmrt::schema {
struct KernelDispatch; // generated from runtime/schema/artifact.fbs
}

namespace llmrt::tool {

struct CacheWork {
  double bytes_per_token = 0; // keys and values of one position, all layers of the group
  int64_t window = 0;         // 0: all tokens are seen
};

// What one dispatch of a program must read and compute.
struct DispatchWork {
  std::vector<uint32_t> weights; // that are read whole
  double weight_bytes = 0;
  double ops = 0;           // 2 K N of a linear, for each row of the step that it runs for
  bool rows_only = false;   // it runs for output rows, not for every token
  int cache_group = -1;     // that it reads, or -1
  double cache_bytes = 0;   // of one cached token, in its layer
};
DispatchWork dispatch_work(const schema::Artifact &meta, const schema::KernelDispatch &dispatch);

struct StepWork {
  double weight_bytes = 0; // read once a step: every weight that a kernel reads, but for rows looked up
  double token_ops = 0;    // 2 K N of the linears that run for every token
  double row_ops = 0;      // of those that run for output rows alone: the head
  std::vector<CacheWork> caches;

  // Bytes of keys and values that one more token at position `position` sees.
  double kv_bytes_at(int64_t position) const;
};

StepWork step_work(const Artifact &artifact, std::string_view target); // of the program that runs on the target

} // namespace llmrt::tool
