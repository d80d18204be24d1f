// The engine: requests in, events out; continuous batching over paged KV. One thread calls step() (or run()); every
// other member may be called from any thread.
#pragma once

#include "runtime/base/status.h"
#include "runtime/device/device.h"
#include "runtime/engine/request.h"

#include <array>
#include <cstdint>
#include <iterator>
#include <memory>

namespace llmrt {

enum class SchedulingPolicy { kFcfs, kPriority };

// When a waiting request may start. kOptimistic: there are pages for the tokens it has; if those that run outgrow the
// pool, the last is preempted. kPredicted: there are pages for all that run at their longest; nothing is preempted.
enum class Admission { kOptimistic, kPredicted };

struct EngineOptions {
  int64_t max_model_len = 0;          // 0: the artifact's default
  int64_t max_num_batched_tokens = 0; // likewise
  int64_t max_num_seqs = 0;
  int64_t max_rows = 0;         // output rows a step; 0: max_num_seqs
  int64_t kv_cache_bytes = 0;   // 0: the rule of docs/memory.md
  int64_t available_bytes = 0;  // what that rule may count on, on a CPU; 0: what the system says there is
  int64_t kv_pages = 0;         // 0: from kv_cache_bytes; else that many pages in every group
  int64_t max_queue = 4096;     // waiting requests before submit() says kExhausted
  int64_t max_queue_tokens = 0; // likewise for the tokens of their prompts; 0: 1 Mi, or max_model_len if larger
  int64_t chunk_tokens = 0;     // prompt tokens a step and request at most; 0: the token budget
  double max_itl_seconds = 0; // chunks are sized so that steps with decodes take no longer; 0: no such limit
  bool prefix_caching = true;
  bool hidden_states = false; // takes the memory for RequestSpec::pooling, where artifact and device give them
  SchedulingPolicy policy = SchedulingPolicy::kFcfs;
  Admission admission = Admission::kOptimistic;
};

// Upper bounds of a step's tokens, in EngineStats::steps_by_tokens; what is above them all comes last.
inline constexpr int64_t kStepTokenBounds[] = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

struct EngineStats {
  int64_t running = 0, waiting = 0;
  int64_t pages_total = 0, pages_free = 0, pages_cached = 0, pages_used = 0; // over all groups
  uint64_t prompt_tokens = 0, generation_tokens = 0, preemptions = 0;
  uint64_t prefix_queries = 0, prefix_hits = 0; // tokens
  uint64_t finished_stop = 0, finished_length = 0, finished_cancelled = 0, finished_error = 0;
  uint64_t steps = 0, step_tokens = 0; // tokens of all steps
  std::array<uint64_t, std::size(kStepTokenBounds) + 1> steps_by_tokens{};
  uint64_t sampled_rows = 0, candidate_rows = 0; // that tokens were drawn from; of which not all logits were read
  uint64_t itl_limit_missed = 0; // steps that were longer than max_itl_seconds with no prompt to blame
};

class Engine {
public:
  // Sizes everything (docs/memory.md), calls device->prepare() and is ready; after that step() takes no memory of its
  // own beyond the events it hands out.
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Artifact> artifact,
                                                std::unique_ptr<Device> device, const EngineOptions &options);
  virtual ~Engine() = default;

  // The limits in force after sizing (max_model_len may have been lowered to what the pool holds).
  virtual const Limits &limits() const = 0;
  virtual int64_t max_model_len() const = 0;
  // Columns of a hidden state; 0: there are none, because EngineOptions did not ask, or artifact or device has none.
  virtual int64_t hidden_width() const = 0;

  // kInvalidArgument: ids out of range, prompt too long. kExhausted: the queue is full.
  virtual Result<RequestId> submit(RequestSpec spec) = 0;
  virtual void cancel(RequestId id) = 0; // its pages are free within one step

  // Runs one step if there is anything to do; false when idle.
  virtual Result<bool> step() = 0;
  // Steps until `stop` is asked for, sleeping while idle. `drain`: finishes what runs first.
  virtual Status run() = 0;
  virtual void stop(bool drain) = 0;

  virtual EngineStats stats() const = 0;
  // free + cached + used = total and no page lost; called when idle.
  virtual Status check_integrity() const = 0;
};

} // namespace llmrt
