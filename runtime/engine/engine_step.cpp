#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/engine/engine_impl.h"

#include <algorithm>
#include <string>
#include <utility>

namespace llmrt {

void EngineImpl::take_new() {
  std::lock_guard lock(mutex_);
  while (RequestState *request = inbox_.front()) {
    inbox_.remove(request);
    if (!request->is_beam_search()) {
      held_ += int64_t(request->followers.size());
      held_tokens_ += int64_t(request->followers.size()) * request->prompt_length;
    }
    if (request->spec.deadline_ns > 0) next_deadline_ns_ = std::min(next_deadline_ns_, request->spec.deadline_ns);
    scheduler_.add(request);
  }
}

// Those whose time is over are dropped as if they had been cancelled.
void EngineImpl::expire() {
  const uint64_t now = next_deadline_ns_ == UINT64_MAX ? 0 : os::monotonic_ns();
  if (now < next_deadline_ns_) return;
  next_deadline_ns_ = UINT64_MAX;
  scheduler_.for_each([this, now](RequestState *request) {
    auto check = [this, now](RequestState *one) {
      const uint64_t deadline = one->spec.deadline_ns;
      if (deadline == 0) return;
      if (deadline > now) {
        next_deadline_ns_ = std::min(next_deadline_ns_, deadline);
        return;
      }
      one->expired = one->cancelled = true;
    };
    check(request->first_beam ? request->first_beam : request);
    if (!request->is_beam_search())
      for (auto &follower : request->followers) check(follower.get());
  });
  std::lock_guard lock(mutex_);
  any_cancelled_ = true;
}

// Ending one may take others out of the scheduler's lists, so they are looked for first.
bool EngineImpl::drop_cancelled() {
  {
    std::lock_guard lock(mutex_);
    if (!std::exchange(any_cancelled_, false)) return false;
  }
  RequestState *dropped = nullptr;
  scheduler_.for_each([this, &dropped](RequestState *request) {
    auto drop = [&dropped](RequestState *one) {
      if (!one->cancelled) return false;
      one->next_dropped = dropped;
      dropped = one;
      return true;
    };
    drop(request);
    if (request->is_beam_search()) return;
    std::erase_if(request->followers, [&](std::unique_ptr<RequestState> &follower) {
      if (!drop(follower.get())) return false;
      --held_;
      held_tokens_ -= follower->prompt_length;
      return follower.release() != nullptr;
    });
  });
  while (RequestState *request = dropped) {
    dropped = request->next_dropped;
    const std::string error = std::move(request->error);
    end_request(request,
                !error.empty()     ? FinishReason::kError
                : request->expired ? FinishReason::kDeadline
                                   : FinishReason::kCancelled,
                error);
  }
  return true;
}

// For a request that others of this step still refer to.
void EngineImpl::drop_later(RequestState *request, const std::string &error) {
  request->error = error;
  request->cancelled = true;
  std::lock_guard lock(mutex_);
  any_cancelled_ = true;
}

void EngineImpl::end_request(RequestState *request, FinishReason reason, const std::string &error) {
  if (request->first_beam) return end_beams(request->first_beam, reason, error);
  Event event;
  event.finish = reason;
  event.error = error;
  emit(request, std::move(event));
}

void EngineImpl::count_step(const StepPlan &plan) {
  ++counts_.steps;
  counts_.step_tokens += uint64_t(plan.shape.tokens);
  const int64_t *bound = std::lower_bound(std::begin(kStepTokenBounds), std::end(kStepTokenBounds), plan.shape.tokens);
  ++counts_.steps_by_tokens[size_t(bound - std::begin(kStepTokenBounds))];
  const uint64_t now = os::monotonic_ns();
  auto begins = [now](RequestState &request) {
    if (request.waited_ns == 0) request.waited_ns = std::max<uint64_t>(1, now - request.submitted_ns);
  };
  for (const PlannedRequest &entry : plan.requests) {
    begins(*entry.request);
    for (const auto &follower : entry.request->followers) begins(*follower);
  }
}

Result<bool> EngineImpl::step() {
  std::lock_guard lock(step_mutex_);
  const uint64_t started = pace_.on() ? os::monotonic_ns() : 0;
  take_new();
  expire();
  const bool dropped = drop_cancelled();
  if (pace_.on()) scheduler_.set_prompt_budget(pace_.prompt_tokens());
  const StepPlan &plan = scheduler_.plan();
  if (plan.requests.empty()) {
    const bool stuck = !scheduler_.idle();
    if (stuck) end_all(FinishReason::kError, "the scheduler found nothing to run");
    publish_stats();
    if (stuck) return Status(StatusCode::kInternal, "requests wait and none of them can run");
    return dropped;
  }
  count_step(plan);
  if (Status status = executor_.run(plan); !status.ok()) {
    end_all(FinishReason::kError, "the device failed: " + status.message());
    publish_stats();
    return status;
  }
  if (pace_.on()) keep_pace(plan, started);
  for (const PlannedRequest &entry : plan.requests) finish_entry(entry);
  publish_stats();
  return true;
}

// Before the entries are finished: afterwards requests are gone. Sampling is left out, which no chunk changes.
void EngineImpl::keep_pace(const StepPlan &plan, uint64_t started_ns) {
  int64_t prompt_tokens = 0, decodes = 0;
  for (const PlannedRequest &entry : plan.requests) {
    const bool decodes_one = entry.count == 1 && entry.request->generated() > 0;
    decodes += decodes_one;
    prompt_tokens += decodes_one ? 0 : entry.count;
  }
  pace_.observe(prompt_tokens, decodes, double(os::monotonic_ns() - started_ns) * 1e-9);
  if (pace_.missed() > 0 && counts_.itl_limit_missed == 0)
    log(LogLevel::kWarning, "--max-itl-ms cannot be kept: a step of " + std::to_string(decodes) +
                                " requests takes longer without any prompt (said once; see itl_limit_missed_total)");
  counts_.itl_limit_missed = pace_.missed();
}

void EngineImpl::finish_entry(const PlannedRequest &entry) {
  RequestState *request = entry.request;
  scheduler_.commit(entry);
  if (request->computed >= request->prompt_length && !std::exchange(request->prompt_counted, true))
    counts_.prompt_tokens += uint64_t(request->prompt_length);
  deliver_prompt_logits(entry);
  pool_hidden(entry);
  if (entry.samples && request->first_beam) {
    score_beam(entry);
  } else if (entry.samples) {
    sample_branches(entry);
  } else if (request->spec.max_tokens == 0 && request->pending() == 0) {
    Event event;
    event.finish = FinishReason::kLength;
    if (request->spec.pooling != Pooling::kNone) event.embedding = pools_.take(request->slot);
    emit(request, std::move(event));
  }
}

void EngineImpl::pool_hidden(const PlannedRequest &entry) {
  RequestState &request = *entry.request;
  if (entry.hidden_rows == 0) return;
  if (request.pooled_rows == 0) pools_.begin(request.slot);
  for (int64_t row = 0; row < entry.hidden_rows; ++row)
    pools_.add(request.slot, device_->hidden(entry.first_hidden_row + row));
  request.pooled_rows += entry.hidden_rows;
  request.pooled = entry.first_hidden + entry.hidden_rows;
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
    if (request.spec.on_prompt_logits)
      request.spec.on_prompt_logits(position, {first.data(), size_t(count * vocabulary_)});
    position += count;
  }
  if (request.spec.prompt_logprobs >= 0)
    deliver_prompt_logprobs(&request, entry.first_position, end, entry.first_row);
  request.logits_delivered = std::max(request.logits_delivered, end);
}

// Rows of positions [first, end): each says how likely the token behind it was.
void EngineImpl::deliver_prompt_logprobs(RequestState *request, int64_t first, int64_t end, int64_t first_row) {
  end = std::min(end, request->prompt_length - 1); // the last row is the answer's
  if (first >= end || !request->spec.on_event) return;
  Event event;
  event.prompt.resize(size_t(end - first));
  for (int64_t position = first; position < end; ++position) {
    NewToken &token = event.prompt[size_t(position - first)];
    token.id = request->tokens[position + 1];
    const std::span<const float> row = device_->logits(first_row + position - first);
    if (Status status = sampler_.score(row, request->spec.prompt_logprobs, &token); !status.ok())
      return drop_later(request, status.message());
  }
  tell(*request, std::move(event));
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

// The candidates of the row where nothing else was wanted of it and they decide; else its logits.
Status EngineImpl::read_row(const RequestState &request, int64_t row, SamplerInput *input) {
  ++counts_.sampled_rows;
  input->candidates = device_->candidates(row);
  if (!input->candidates.empty() && !request.spec.rules && sampler_.decides(*input)) {
    ++counts_.candidate_rows;
    return ok_status();
  }
  input->candidates = {};
  if (Status status = device_->fetch_logits(row); !status.ok()) return status;
  input->logits = device_->logits(row);
  return ok_status();
}

// Samples under the request's rules, if it has any, and tells them what came.
Status EngineImpl::choose(RequestState *request, SamplerInput &input, NewToken *token) {
  if (!request->spec.rules) return sampler_.sample(input, token);
  if (!request->match) request->match = request->spec.rules->begin();
  Result<std::span<const uint32_t>> mask = request->match->mask();
  if (!mask.ok()) return mask.status();
  input.mask = *mask;
  if (Status status = sampler_.sample(input, token); !status.ok()) return status;
  return request->match->accept(token->id);
}

void EngineImpl::sample(RequestState *request, int64_t row) {
  SamplerInput input;
  input.params = &request->spec.sampling;
  input.prompt = request->prompt();
  input.generated = request->new_tokens();
  input.index = uint64_t(request->generated());
  input.branch = uint32_t(request->branch);
  input.mirostat_mu = &request->mirostat_mu;
  if (request->generated() < request->spec.min_tokens) input.banned = {end_ids_, request->spec.stop_ids};
  NewToken token;
  Event event;
  Status status = read_row(*request, row, &input);
  if (status.ok()) status = choose(request, input, &token);
  if (!status.ok()) {
    event.finish = FinishReason::kError;
    event.error = status.message();
    emit(request, std::move(event));
    return;
  }
  scheduler_.append(request, token.id);
  ++counts_.generation_tokens;
  event.finish = reason_to_stop(*request, token.id);
  if (request->match && request->match->finished()) event.finish = FinishReason::kStop;
  event.tokens.reserve(1);
  event.tokens.push_back(std::move(token));
  emit(request, std::move(event));
}

// Hands the event out; if it is the last one the request and its pages are gone before.
void EngineImpl::emit(RequestState *request, Event &&event) {
  std::unique_ptr<RequestState> ended;
  if (event.finish != FinishReason::kNone) {
    scheduler_.remove(request);
    ended.reset(request);
    {
      std::lock_guard lock(mutex_);
      live_.erase(request->id);
    }
    let_go_of_followers(request);
  }
  event.branch = request->branch;
  tell(*request, std::move(event));
}

void EngineImpl::tell(const RequestState &request, Event &&event) {
  event.id = request.id + uint64_t(request.first_beam ? event.branch : 0);
  event.cached_tokens = request.cached_tokens;
  event.waited_ns = request.waited_ns;
  counts_.finished_stop += event.finish == FinishReason::kStop;
  counts_.finished_length += event.finish == FinishReason::kLength;
  counts_.finished_cancelled +=
      event.finish == FinishReason::kCancelled || event.finish == FinishReason::kDeadline;
  counts_.finished_error += event.finish == FinishReason::kError;
  if (request.spec.on_event) request.spec.on_event(std::move(event));
}

void EngineImpl::end_all(FinishReason reason, const std::string &error) {
  while (RequestState *request = scheduler_.any()) end_request(request, reason, error);
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
  int64_t inbox = 0, inbox_tokens = 0;
  std::lock_guard lock(mutex_);
  for (const RequestState *request = inbox_.front(); request; request = request->next) {
    const int64_t branches = request->is_beam_search() ? 1 : 1 + int64_t(request->followers.size());
    inbox += branches;
    inbox_tokens += branches * request->prompt_length;
  }
  queued_ = inbox + held_ + scheduler_.waiting();
  queued_tokens_ = inbox_tokens + held_tokens_ + scheduler_.waiting_tokens();
  stats_ = counts_;
}

} // namespace llmrt
