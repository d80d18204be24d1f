#include "runtime/engine/engine.h"

#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/engine/engine_impl.h"
#include "runtime/schema/artifact_generated.h"

#include <exception>

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

} // namespace

EngineImpl::EngineImpl(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Device> device,
                       const EngineOptions &options, const Sizing &sizing)
    : artifact_(std::move(artifact)), device_(std::move(device)), sizing_(sizing),
      vocabulary_(artifact_->meta().model()->vocabulary()), cache_(kv_options(sizing, options.prefix_caching)),
      scheduler_(scheduler_options(sizing, options, *artifact_->meta().model()), cache_),
      executor_(*device_, cache_, sizing_.limits), sampler_(vocabulary_), pace_(options.max_itl_seconds),
      pools_(sizing_.limits.sequences, sizing_.hidden_width) {
  const schema::Generation *generation = artifact_->meta().model()->generation();
  if (generation && generation->end_ids())
    end_ids_.assign(generation->end_ids()->begin(), generation->end_ids()->end());
  publish_stats();
}

EngineImpl::~EngineImpl() {
  while (RequestState *request = inbox_.front()) {
    inbox_.remove(request);
    delete request;
  }
  while (RequestState *request = scheduler_.any()) {
    if (request->first_beam) request = request->first_beam;
    scheduler_.remove(request);
    for (auto &beam : request->followers)
      if (request->is_beam_search()) scheduler_.remove(beam.get());
    delete request;
  }
}

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Device> device,
                                               const EngineOptions &options) {
  int64_t budget = device->memory_budget();
  if (budget <= 0) budget = options.available_bytes > 0 ? options.available_bytes : int64_t(os::available_memory());
  EngineOptions possible = options;
  possible.hidden_states = options.hidden_states && device->gives_hidden();
  Result<Sizing> sizing = size_engine(artifact->meta(), device->target(), possible, budget);
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

// ---- from any thread
// -------------------------------------------------------------------------------------------------

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
  if (Status status = check_branches(spec); !status.ok()) return status;
  if (Status status = check_pooling(spec); !status.ok()) return status;
  return scheduler_.check(request); // reads nothing that changes
}

Status EngineImpl::check_pooling(const RequestSpec &spec) const {
  if (spec.pooling == Pooling::kNone) return ok_status();
  if (hidden_width() == 0)
    return Status(StatusCode::kUnsupported, "there are no hidden states to pool: the artifact is older than they are "
                                            "(compile it again), or the engine was started without them");
  if (spec.max_tokens == 0 && spec.branches == 1 && spec.beams.width == 0) return ok_status();
  return Status(StatusCode::kInvalidArgument, "pooled hidden states and an answer exclude each other");
}

Result<RequestId> EngineImpl::submit(RequestSpec spec) {
  auto request = std::make_unique<RequestState>();
  request->spec = std::move(spec);
  request->spec.prompt.shrink_to_fit(); // the queue's memory is counted by tokens
  request->prompt_length = request->token_count = int64_t(request->spec.prompt.size());
  if (Status status = check(*request); !status.ok()) return status;
  add_followers(request.get());
  // Beams hold no prompt of their own; branches do, until they are forked.
  const int64_t branches = request->is_beam_search() ? 1 : 1 + int64_t(request->followers.size());
  const int64_t tokens = branches * request->prompt_length;
  const uint64_t now = os::monotonic_ns();
  std::lock_guard lock(mutex_);
  if (stopping_) return Status(StatusCode::kCancelled, "the engine is shutting down and takes no more requests");
  if (queued_ + branches > sizing_.max_queue || queued_tokens_ + tokens > sizing_.max_queue_tokens)
    return Status(StatusCode::kExhausted, "the queue is full: " + std::to_string(queued_) + " requests with " +
                                              std::to_string(queued_tokens_) + " prompt tokens wait; try again later");
  request->id = request->arrival = ++last_id_;
  request->submitted_ns = now;
  live_.emplace(request->id, request.get());
  for (auto &follower : request->followers) {
    follower->id = follower->arrival = ++last_id_;
    follower->submitted_ns = now;
    if (!request->is_beam_search()) live_.emplace(follower->id, follower.get());
  }
  queued_ += branches;
  queued_tokens_ += tokens;
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

} // namespace llmrt
