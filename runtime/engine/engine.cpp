#include "runtime/engine/engine.h"

#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/engine/executor.h"
#include "runtime/engine/request_state.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/sizing.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <unordered_map>

namespace llmrt {

namespace {

SchedulerOptions scheduler_options(const Sizing &sizing, const EngineOptions &options, const schema::Model &model) {
  SchedulerOptions result;
  result.limits = sizing.limits;
  result.max_model_len = sizing.max_model_len;
  result.chunk_tokens = sizing.chunk_tokens;
  result.policy = options.policy;
  result.admission = options.admission;
  result.uses_rope_length = model.uses_rope_length();
  return result;
}

// Locks: step_mutex_ is held through a step and guards all that only a step touches; mutex_ guards what submit(),
// cancel(), stop() and stats() share with it and is never held while a sink is called. step_mutex_ is taken first.
class EngineImpl final : public Engine {
public:
  EngineImpl(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Device> device, const EngineOptions &options,
             const Sizing &sizing)
      : artifact_(std::move(artifact)), device_(std::move(device)), sizing_(sizing),
        vocabulary_(artifact_->meta().model()->vocabulary()),
        cache_(kv_options(sizing, options.prefix_caching)),
        scheduler_(scheduler_options(sizing, options, *artifact_->meta().model()), cache_),
        executor_(*device_, cache_, sizing_.limits), sampler_(vocabulary_) {
    const schema::Generation *generation = artifact_->meta().model()->generation();
    if (generation && generation->end_ids())
      end_ids_.assign(generation->end_ids()->begin(), generation->end_ids()->end());
    publish_stats();
  }

  ~EngineImpl() override {
    while (RequestState *request = inbox_.front()) {
      inbox_.remove(request);
      delete request;
    }
    while (RequestState *request = scheduler_.any()) {
      scheduler_.remove(request);
      delete request;
    }
  }

  const Limits &limits() const override { return sizing_.limits; }
  int64_t max_model_len() const override { return sizing_.max_model_len; }
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
  bool drop_cancelled();
  void finish_entry(const PlannedRequest &entry);
  void deliver_prompt_logits(const PlannedRequest &entry);
  void sample(const PlannedRequest &entry);
  FinishReason reason_to_stop(const RequestState &request, int32_t token) const;
  void emit(RequestState *request, Event &&event);
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
  EngineStats counts_; // as far as this step is

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  RequestList inbox_;
  std::unordered_map<RequestId, RequestState *> live_;
  RequestId last_id_ = 0;
  int64_t queued_ = 0, queued_tokens_ = 0; // waiting in the inbox or the scheduler
  bool any_cancelled_ = false, stopping_ = false, draining_ = false;
  EngineStats stats_;
};

// ---- from any thread -------------------------------------------------------------------------------------------------

Status EngineImpl::check(const RequestState &request) const {
  const RequestSpec &spec = request.spec;
  auto invalid = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (spec.prompt.empty()) return invalid("the prompt is empty: at least one token is needed");
  for (size_t i = 0; i < spec.prompt.size(); ++i)
    if (spec.prompt[i] < 0 || spec.prompt[i] >= vocabulary_)
      return invalid("token " + std::to_string(spec.prompt[i]) + " at position " + std::to_string(i) +
                     " of the prompt is outside the vocabulary of " + std::to_string(vocabulary_));
  for (int32_t id : spec.stop_ids)
    if (id < 0 || id >= vocabulary_)
      return invalid("stop token " + std::to_string(id) + " is outside the vocabulary of " +
                     std::to_string(vocabulary_));
  if (spec.max_tokens < 0) return invalid("max_tokens must be 0 or more, not " + std::to_string(spec.max_tokens));
  if (spec.min_tokens < 0 || spec.min_tokens > spec.max_tokens)
    return invalid("min_tokens must be between 0 and max_tokens (" + std::to_string(spec.max_tokens) + "), not " +
                   std::to_string(spec.min_tokens));
  if (Status status = check_sampling(spec.sampling, vocabulary_); !status.ok()) return status;
  return scheduler_.check(request); // reads nothing that changes
}

Result<RequestId> EngineImpl::submit(RequestSpec spec) {
  auto request = std::make_unique<RequestState>();
  request->spec = std::move(spec);
  request->spec.prompt.shrink_to_fit(); // the queue's memory is counted by tokens
  request->prompt_length = request->token_count = int64_t(request->spec.prompt.size());
  if (Status status = check(*request); !status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (stopping_) return Status(StatusCode::kCancelled, "the engine is shutting down and takes no more requests");
  if (queued_ >= sizing_.max_queue || queued_tokens_ + request->prompt_length > sizing_.max_queue_tokens)
    return Status(StatusCode::kExhausted, "the queue is full: " + std::to_string(queued_) + " requests with " +
                                              std::to_string(queued_tokens_) + " prompt tokens wait; try again later");
  request->id = request->arrival = ++last_id_;
  live_.emplace(request->id, request.get());
  ++queued_;
  queued_tokens_ += request->prompt_length;
  inbox_.insert(nullptr, request.get());
  wake_.notify_one();
  return request.release()->id;
}

void EngineImpl::cancel(RequestId id) {
  std::lock_guard lock(mutex_);
  auto found = live_.find(id);
  if (found == live_.end()) return; // has ended, or never was
  found->second->cancelled = true;
  any_cancelled_ = true;
  wake_.notify_one();
}

void EngineImpl::stop(bool drain) {
  std::lock_guard lock(mutex_);
  draining_ = drain && (draining_ || !stopping_); // a second call may cut a drain short, not the other way round
  stopping_ = true;
  wake_.notify_all();
}

EngineStats EngineImpl::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats result = stats_;
  result.waiting = queued_;
  return result;
}

Status EngineImpl::check_integrity() const {
  std::lock_guard lock(step_mutex_);
  return cache_.check();
}

// ---- the step --------------------------------------------------------------------------------------------------------

void EngineImpl::take_new() {
  std::lock_guard lock(mutex_);
  while (RequestState *request = inbox_.front()) {
    inbox_.remove(request);
    scheduler_.add(request);
  }
}

bool EngineImpl::drop_cancelled() {
  {
    std::lock_guard lock(mutex_);
    if (!std::exchange(any_cancelled_, false)) return false;
  }
  scheduler_.for_each([this](RequestState *request) {
    if (!request->cancelled) return;
    Event event;
    event.finish = FinishReason::kCancelled;
    emit(request, std::move(event));
  });
  return true;
}

Result<bool> EngineImpl::step() {
  std::lock_guard lock(step_mutex_);
  take_new();
  const bool dropped = drop_cancelled();
  const StepPlan &plan = scheduler_.plan();
  if (plan.requests.empty()) {
    const bool stuck = !scheduler_.idle();
    if (stuck) end_all(FinishReason::kError, "the scheduler found nothing to run");
    publish_stats();
    if (stuck) return Status(StatusCode::kInternal, "requests wait and none of them can run");
    return dropped;
  }
  ++counts_.steps;
  if (Status status = executor_.run(plan); !status.ok()) {
    end_all(FinishReason::kError, "the device failed: " + status.message());
    publish_stats();
    return status;
  }
  for (const PlannedRequest &entry : plan.requests) finish_entry(entry);
  publish_stats();
  return true;
}

void EngineImpl::finish_entry(const PlannedRequest &entry) {
  RequestState *request = entry.request;
  scheduler_.commit(entry);
  if (request->computed >= request->prompt_length && !std::exchange(request->prompt_counted, true))
    counts_.prompt_tokens += uint64_t(request->prompt_length);
  deliver_prompt_logits(entry);
  if (entry.samples) {
    sample(entry);
  } else if (request->spec.max_tokens == 0 && request->pending() == 0) {
    Event event;
    event.finish = FinishReason::kLength;
    emit(request, std::move(event));
  }
}

void EngineImpl::deliver_prompt_logits(const PlannedRequest &entry) {
  RequestState &request = *entry.request;
  if (!request.wants_prompt_logits()) return;
  const int64_t end = std::min(entry.first_position + entry.rows, request.prompt_length);
  int64_t position = entry.first_position;
  while (position < end) {
    // Rows that lie side by side are handed over together.
    const std::span<const float> first = device_->logits(entry.first_row + position - entry.first_position);
    int64_t count = 1;
    while (position + count < end &&
           device_->logits(entry.first_row + position + count - entry.first_position).data() ==
               first.data() + count * vocabulary_)
      ++count;
    request.spec.on_prompt_logits(position, {first.data(), size_t(count * vocabulary_)});
    position += count;
  }
  request.logits_delivered = std::max(request.logits_delivered, end);
}

FinishReason EngineImpl::reason_to_stop(const RequestState &request, int32_t token) const {
  auto among = [token](const std::vector<int32_t> &ids) { return std::find(ids.begin(), ids.end(), token) != ids.end(); };
  const bool may_stop = request.generated() >= request.spec.min_tokens;
  if (may_stop && (among(request.spec.stop_ids) || (!request.spec.ignore_eos && among(end_ids_))))
    return FinishReason::kStop;
  if (request.generated() >= request.spec.max_tokens || request.token_count >= sizing_.max_model_len)
    return FinishReason::kLength;
  return FinishReason::kNone;
}

void EngineImpl::sample(const PlannedRequest &entry) {
  RequestState *request = entry.request;
  SamplerInput input;
  input.logits = device_->logits(entry.first_row + entry.rows - 1);
  input.params = &request->spec.sampling;
  input.prompt = request->prompt();
  input.generated = request->new_tokens();
  input.index = uint64_t(request->generated());
  if (request->generated() < request->spec.min_tokens) input.banned = {end_ids_, request->spec.stop_ids};
  NewToken token;
  Event event;
  if (Status status = sampler_.sample(input, &token); !status.ok()) {
    event.finish = FinishReason::kError;
    event.error = status.message();
    emit(request, std::move(event));
    return;
  }
  scheduler_.append(request, token.id);
  ++counts_.generation_tokens;
  event.finish = reason_to_stop(*request, token.id);
  event.tokens.reserve(1);
  event.tokens.push_back(std::move(token));
  emit(request, std::move(event));
}

// Hands the event out; if it is the last one the request and its pages are gone before.
void EngineImpl::emit(RequestState *request, Event &&event) {
  event.id = request->id;
  event.cached_tokens = request->cached_tokens;
  std::unique_ptr<RequestState> ended;
  if (event.finish != FinishReason::kNone) {
    scheduler_.remove(request);
    ended.reset(request);
    counts_.finished_stop += event.finish == FinishReason::kStop;
    counts_.finished_length += event.finish == FinishReason::kLength;
    counts_.finished_cancelled += event.finish == FinishReason::kCancelled;
    counts_.finished_error += event.finish == FinishReason::kError;
    std::lock_guard lock(mutex_);
    live_.erase(request->id);
  }
  if (request->spec.on_event) request->spec.on_event(std::move(event));
}

void EngineImpl::end_all(FinishReason reason, const std::string &error) {
  while (RequestState *request = scheduler_.any()) {
    Event event;
    event.finish = reason;
    event.error = error;
    emit(request, std::move(event));
  }
}

void EngineImpl::publish_stats() {
  counts_.running = scheduler_.running();
  counts_.preemptions = scheduler_.preemptions();
  counts_.prefix_queries = scheduler_.prefix_queries();
  counts_.prefix_hits = scheduler_.prefix_hits();
  counts_.pages_total = counts_.pages_free = counts_.pages_cached = counts_.pages_used = 0;
  for (int group = 0; group < cache_.group_count(); ++group) {
    counts_.pages_total += cache_.pool(group).total();
    counts_.pages_free += cache_.pool(group).free();
    counts_.pages_cached += cache_.pool(group).cached();
    counts_.pages_used += cache_.pool(group).used();
  }
  int64_t inbox_tokens = 0;
  std::lock_guard lock(mutex_);
  for (const RequestState *request = inbox_.front(); request; request = request->next)
    inbox_tokens += request->prompt_length;
  queued_ = inbox_.size() + scheduler_.waiting();
  queued_tokens_ = inbox_tokens + scheduler_.waiting_tokens();
  stats_ = counts_;
}

Status EngineImpl::run() {
  while (true) {
    bool leave = false;
    {
      std::unique_lock lock(mutex_);
      // Between steps the scheduler is this thread's alone, so it may be looked at without step_mutex_.
      wake_.wait(lock, [this] { return stopping_ || any_cancelled_ || !inbox_.empty() || !scheduler_.idle(); });
      leave = stopping_ && (!draining_ || (inbox_.empty() && scheduler_.idle()));
    }
    if (leave) break;
    if (Result<bool> result = step(); !result.ok()) return result.status();
  }
  std::lock_guard lock(step_mutex_);
  take_new();
  end_all(FinishReason::kCancelled, {});
  publish_stats();
  return ok_status();
}

} // namespace

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Device> device,
                                               const EngineOptions &options) {
  Result<Sizing> sizing = size_engine(artifact->meta(), options, int64_t(os::available_memory()));
  if (!sizing.ok()) return sizing.status();
  if (!sizing->notice.empty()) log(LogLevel::kWarning, sizing->notice);
  if (Status status = device->prepare(sizing->limits); !status.ok()) return status;
  try {
    return std::unique_ptr<Engine>(
        std::make_unique<EngineImpl>(std::move(artifact), std::move(device), options, *sizing));
  } catch (const std::exception &) { // bad_alloc or length_error: exceptions end here
    return Status(StatusCode::kExhausted, "no memory for " + std::to_string(sizing->limits.sequences) +
                                              " sequences of " + std::to_string(sizing->max_model_len) +
                                              " tokens: lower --max-num-seqs or --max-model-len");
  }
}

} // namespace llmrt
