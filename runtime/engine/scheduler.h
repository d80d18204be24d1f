// Who runs in the next step, and on which pages. Knows no device, no text and no clock: given the same requests in the
// same order it plans the same steps.
#pragma once

#include "runtime/base/status.h"
#include "runtime/device/device.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/request_state.h"
#include "runtime/kv/kv_cache.h"

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

struct SchedulerOptions {
  Limits limits;
  int64_t max_model_len = 0;
  int64_t chunk_tokens = 0; // 0: limits.tokens
  SchedulingPolicy policy = SchedulingPolicy::kFcfs;
  Admission admission = Admission::kOptimistic;
  bool uses_rope_length = false;
};

// One request's part of a step: its tokens [first, first + count). The last `rows` of them give rows of logits, the
// first of which is output row `first_row` of the step.
struct PlannedRequest {
  RequestState *request = nullptr;
  int64_t first = 0, count = 0;
  int64_t first_position = 0, rows = 0, first_row = 0; // rows for positions [first_position, first_position + rows)
  bool samples = false;                                // the last row gives a new token
  int64_t first_hidden = 0, hidden_rows = 0, first_hidden_row = 0; // likewise of hidden states
};

struct StepPlan {
  std::vector<PlannedRequest> requests;
  StepShape shape;
};

class Scheduler {
public:
  // `cache` must outlive the scheduler and be sized for the limits.
  Scheduler(const SchedulerOptions &options, KvCache &cache);

  // kInvalidArgument, with the figures, if the request could not run even alone.
  Status check(const RequestState &request) const;
  // The request waits. It stays the caller's and must live until remove().
  void add(RequestState *request);
  // Takes it out, wherever it is, and gives back its pages and its slot.
  void remove(RequestState *request);

  // Prompt tokens of a step in which others want their next token, from the next plan on.
  void set_prompt_budget(int64_t tokens) { prompt_budget_ = tokens; }

  // Plans a step: running requests that need one token first, then prompts in chunks, then new requests; when pages run
  // out the request of the lowest rank (come last, or of the lowest priority) goes back to the queue and will be
  // computed anew. Every request in the plan has its pages. The plan is valid until the next call.
  const StepPlan &plan();
  // The device has run the entry: its tokens are computed.
  void commit(const PlannedRequest &entry);
  // The request has a new token.
  void append(RequestState *request, int32_t token);
  // Between a step and the next: `to`, which waits nowhere, runs from where `from` is, on the same pages. False if there
  // is no slot for it.
  bool fork(const RequestState &from, RequestState *to);
  // Likewise for a beam, which has its slot: gives up what it had.
  void take_over(const RequestState &from, RequestState *to);

  int64_t running() const { return int64_t(running_.size()); }
  int64_t waiting() const { return waiting_.size(); }
  int64_t waiting_tokens() const { return waiting_tokens_; } // of prompts that have no slot yet
  bool idle() const { return running_.empty() && waiting_.empty(); }
  uint64_t preemptions() const { return preemptions_; }
  uint64_t prefix_queries() const { return prefix_queries_; }
  uint64_t prefix_hits() const { return prefix_hits_; }

  // Any request, for ending them all; null if there is none.
  RequestState *any() const { return running_.empty() ? waiting_.front() : running_.back(); }
  // Calls visit(RequestState *) for all, which may not add or remove any.
  template <typename Visit> void for_each(Visit visit) {
    for (RequestState *request : running_) visit(request);
    for (RequestState *request = waiting_.front(); request; request = request->next) visit(request);
  }

private:
  bool outranks(const RequestState &a, const RequestState &b) const;
  void place(RequestState *request);
  int64_t wanted(const RequestState &request) const;
  void set_rows(PlannedRequest *entry) const;
  void set_hidden_rows(PlannedRequest *entry) const;
  void preempt(RequestState *request);
  void unplan(RequestState *request);
  void close_plan();
  void admit();
  RequestState *candidate();
  void take_slot(RequestState *request);
  void give_slot(RequestState *request);
  void run(RequestState *request);
  void make_room();
  size_t slots_needed(const RequestState &request) const;
  int64_t attachable(const RequestState &request) const;
  bool admissible(const RequestState &request) const;
  bool fits_now(const RequestState &request) const;
  bool fits_at_peak(const RequestState &request) const;
  void start(RequestState *request, int64_t cached);
  void enqueue(RequestState *request);

  SchedulerOptions options_;
  KvCache &cache_;
  int64_t slot_tokens_; // of token_store_ a slot
  std::vector<int32_t> token_store_;
  std::vector<int> free_slots_;
  std::vector<RequestState *> running_; // the highest rank first
  RequestList waiting_;                 // likewise
  int64_t waiting_tokens_ = 0;
  StepPlan plan_;
  int64_t prompt_budget_ = INT64_MAX;
  int64_t tokens_left_ = 0, rows_left_ = 0, prompt_left_ = 0;
  bool preempted_ = false; // while planning this step
  uint64_t preemptions_ = 0, prefix_queries_ = 0, prefix_hits_ = 0;
};

} // namespace llmrt
