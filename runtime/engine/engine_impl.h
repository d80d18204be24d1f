// The engine behind engine.h: the queue that other threads fill, and the step that plans, runs, samples and tells.
#pragma once

#include "runtime/engine/engine.h"
#include "runtime/engine/executor.h"
#include "runtime/engine/pace.h"
#include "runtime/engine/pooling.h"
#include "runtime/engine/request_state.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/sizing.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace llmrt {

// Locks: step_mutex_ is held through a step and guards all that only a step touches; mutex_ guards what submit(),
// cancel(), stop() and stats() share with it and is never held while a sink is called. step_mutex_ is taken first.
class EngineImpl final : public Engine {
public:
  EngineImpl(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Device> device, const EngineOptions &options,
             const Sizing &sizing);
  ~EngineImpl() override; // requests that have not ended are dropped without an event

  const Limits &limits() const override { return sizing_.limits; }
  int64_t max_model_len() const override { return sizing_.max_model_len; }
  int64_t hidden_width() const override { return pools_.width(); }
  Result<RequestId> submit(RequestSpec spec) override;
  void cancel(RequestId id) override;
  Result<bool> step() override;
  Status run() override;
  void stop(bool drain) override;
  EngineStats stats() const override;
  Status check_integrity() const override;

private:
  Status check(const RequestState &request) const;
  void take_new();
  void count_step(const StepPlan &plan);
  void expire();
  bool drop_cancelled();
  void keep_pace(const StepPlan &plan, uint64_t started_ns);
  void finish_entry(const PlannedRequest &entry);
  void deliver_prompt_logits(const PlannedRequest &entry);
  void pool_hidden(const PlannedRequest &entry);
  Status check_pooling(const RequestSpec &spec) const;
  void deliver_prompt_logprobs(RequestState *request, int64_t first, int64_t end, int64_t first_row);
  Status choose(RequestState *request, SamplerInput &input, NewToken *token);
  void sample(RequestState *request, int64_t row);
  Status read_row(const RequestState &request, int64_t row, SamplerInput *input);
  FinishReason reason_to_stop(const RequestState &request, int32_t token) const;
  void emit(RequestState *request, Event &&event);
  void tell(const RequestState &request, Event &&event);
  Status check_branches(const RequestSpec &spec) const;
  void add_followers(RequestState *request) const;
  void sample_branches(const PlannedRequest &entry);
  void let_go_of_followers(RequestState *request);
  void score_beam(const PlannedRequest &entry);
  void advance_beams(RequestState *first);
  void end_beams(RequestState *first, FinishReason reason, const std::string &error);
  void drop_later(RequestState *request, const std::string &error);
  void end_request(RequestState *request, FinishReason reason, const std::string &error);
  void end_all(FinishReason reason, const std::string &error);
  void publish_stats();

  std::shared_ptr<const Artifact> artifact_;
  std::unique_ptr<Device> device_;
  Sizing sizing_;
  int64_t vocabulary_;
  std::vector<int32_t> end_ids_;

  mutable std::mutex step_mutex_;
  KvCache cache_;
  Scheduler scheduler_;
  Executor executor_;
  Sampler sampler_;
  Pace pace_;
  HiddenPools pools_;
  uint64_t next_deadline_ns_ = UINT64_MAX; // of those that wait or run
  EngineStats counts_; // as far as this step is
  int64_t held_ = 0, held_tokens_ = 0; // branches that wait for their prompt, which are in no list

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  RequestList inbox_;
  std::unordered_map<RequestId, RequestState *> live_;
  RequestId last_id_ = 0;
  int64_t queued_ = 0, queued_tokens_ = 0; // waiting in the inbox or the scheduler
  bool any_cancelled_ = false, stopping_ = false, draining_ = false;
  EngineStats stats_;
};

} // namespace llmrt
