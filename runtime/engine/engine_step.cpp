#include "runtime/engine/engine_impl.h"

#include <algorithm>
#include <utility>

namespace llmrt {

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
  auto among = [token](const std::vector<int32_t> &ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
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

} // namespace llmrt
