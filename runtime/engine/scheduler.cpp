#include "runtime/engine/scheduler.h"

#include <algorithm>
#include <cassert>

namespace llmrt {

Scheduler::Scheduler(const SchedulerOptions &options, KvCache &cache)
    : options_(options), cache_(cache), slot_tokens_(options.max_model_len) {
  const size_t slots = size_t(options_.limits.sequences);
  token_store_.resize(slots * size_t(slot_tokens_));
  free_slots_.reserve(slots);
  for (size_t slot = slots; slot-- > 0;) free_slots_.push_back(int(slot));
  running_.reserve(slots);
  plan_.requests.reserve(slots);
  if (options_.chunk_tokens <= 0) options_.chunk_tokens = options_.limits.tokens;
}

Status Scheduler::check(const RequestState &request) const {
  const int64_t prompt = request.prompt_length, room = request.spec.max_tokens > 0 ? 1 : 0;
  if (prompt + room > options_.max_model_len)
    return Status(StatusCode::kInvalidArgument,
                  "the prompt has " + std::to_string(prompt) + " tokens, max_model_len is " +
                      std::to_string(options_.max_model_len) +
                      (room ? " and one new token needs room: shorten the prompt or raise --max-model-len"
                            : ": shorten the prompt or raise --max-model-len"));
  const int64_t length = request.peak_length(options_.max_model_len);
  for (int group = 0; group < cache_.group_count(); ++group) {
    int64_t needed = cache_.pages_for(group, length, 1);
    const int64_t total = cache_.pool(group).total();
    if (request.is_beam_search()) // all beams at once, each with a page to copy
      needed = request.spec.beams.width * (cache_.pages_for(group, length, options_.chunk_tokens) + 1);
    if (needed > total)
      return Status(StatusCode::kInvalidArgument,
                    "the request needs " + std::to_string(needed) + " pages of cache group '" +
                        cache_.options().groups[size_t(group)].name + "' for " + std::to_string(length) +
                        " tokens, the pool has " + std::to_string(total) +
                        ": lower max_tokens or raise --kv-cache-memory-bytes");
  }
  return ok_status();
}

// ---- queues
// ----------------------------------------------------------------------------------------------------------

bool Scheduler::outranks(const RequestState &a, const RequestState &b) const {
  if (options_.policy == SchedulingPolicy::kPriority && a.spec.priority != b.spec.priority)
    return a.spec.priority < b.spec.priority;
  return a.arrival < b.arrival;
}

// Behind all that outrank it. Looked for from the end that is likely nearer: new requests go to the back, preempted
// ones to the front.
void Scheduler::enqueue(RequestState *request) {
  RequestState *place = nullptr;
  if (request->slot < 0) {
    for (RequestState *last = waiting_.back(); last && outranks(*request, *last); last = last->previous) place = last;
  } else {
    place = waiting_.front();
    while (place && outranks(*place, *request)) place = place->next;
  }
  waiting_.insert(place, request);
  request->waiting = true;
}

void Scheduler::add(RequestState *request) {
  waiting_tokens_ += request->prompt_length;
  enqueue(request);
}

void Scheduler::remove(RequestState *request) {
  const bool waited = request->waiting;
  if (request->running) running_.erase(std::find(running_.begin(), running_.end(), request));
  if (waited) waiting_.remove(request);
  request->running = request->waiting = false;
  if (request->slot < 0) {
    if (waited) waiting_tokens_ -= request->prompt_length;
    return;
  }
  cache_.release(request->slot);
  free_slots_.push_back(request->slot);
  request->slot = -1;
}

// ---- planning
// --------------------------------------------------------------------------------------------------------

const StepPlan &Scheduler::plan() {
  plan_.requests.clear();
  tokens_left_ = options_.limits.tokens;
  rows_left_ = options_.limits.rows;
  prompt_left_ = INT64_MAX;
  preempted_ = false;
  cache_.clear_copies();
  // place() takes requests off the end of running_ only.
  for (size_t i = 0; i < running_.size(); ++i)
    if (running_[i]->pending() == 1) place(running_[i]);
  if (!plan_.requests.empty()) prompt_left_ = prompt_budget_;
  for (size_t i = 0; i < running_.size(); ++i)
    if (running_[i]->planned < 0) place(running_[i]);
  if (!preempted_) admit(); // else what was just given back would be taken at once
  make_room();
  close_plan();
  return plan_;
}

// Beams wait for one another: where all that run wait for one that does not, those of the lowest rank make room for it.
void Scheduler::make_room() {
  while (tokens_left_ == options_.limits.tokens && !waiting_.empty() && !running_.empty()) {
    preempt(running_.back());
    admit();
  }
}

// Tokens of the request that the step's budgets allow.
int64_t Scheduler::wanted(const RequestState &request) const {
  int64_t count = std::min(request.pending(), tokens_left_);
  if (request.pending() > 1) count = std::min({count, options_.chunk_tokens, prompt_left_});
  if (request.wants_prompt_logits()) {
    const int64_t without = std::max<int64_t>(0, request.logits_delivered - request.computed);
    count = std::min(count, without + rows_left_);
  } else if (rows_left_ == 0 && count == request.pending() && request.spec.max_tokens > 0) {
    --count; // the last one needs a row
  }
  return count;
}

void Scheduler::set_rows(PlannedRequest *entry) const {
  const RequestState &request = *entry->request;
  const int64_t end = entry->first + entry->count;
  entry->samples = end == request.token_count && request.spec.max_tokens > 0;
  entry->first_position = entry->samples ? end - 1 : end;
  if (request.wants_prompt_logits())
    entry->first_position = std::min(end, std::max(entry->first, request.logits_delivered));
  entry->rows = end - entry->first_position;
  set_hidden_rows(entry);
}

// Limits::hidden_rows has room for every token of a step.
void Scheduler::set_hidden_rows(PlannedRequest *entry) const {
  const RequestState &request = *entry->request;
  if (request.spec.pooling == Pooling::kNone) return;
  const bool first = request.spec.pooling == Pooling::kCls, last = request.spec.pooling == Pooling::kLast;
  const int64_t from = std::max({entry->first, request.pooled, last ? request.prompt_length - 1 : 0});
  const int64_t end = std::min(entry->first + entry->count, first ? 1 : request.prompt_length);
  entry->first_hidden = from;
  entry->hidden_rows = std::max<int64_t>(0, end - from);
}

void Scheduler::place(RequestState *request) {
  int64_t count = wanted(*request);
  if (count <= 0) return;
  int64_t length = cache_.fits(request->slot, request->computed + count);
  while (length == request->computed) { // not even one page
    RequestState *victim = running_.back();
    preempt(victim);
    if (victim == request) return;
    length = cache_.fits(request->slot, request->computed + count);
  }
  count = length - request->computed;
  cache_.reserve(request->slot, length);
  PlannedRequest entry;
  entry.request = request;
  entry.first = request->computed;
  entry.count = count;
  set_rows(&entry);
  tokens_left_ -= entry.count;
  if (request->pending() > 1) prompt_left_ -= entry.count;
  rows_left_ -= entry.rows;
  request->planned = int64_t(plan_.requests.size());
  plan_.requests.push_back(entry);
}

void Scheduler::unplan(RequestState *request) {
  if (request->planned < 0) return;
  PlannedRequest &entry = plan_.requests[size_t(request->planned)];
  tokens_left_ += entry.count;
  if (request->pending() > 1) prompt_left_ += entry.count;
  rows_left_ += entry.rows;
  entry.request = nullptr;
  request->planned = -1;
}

// Its pages go, its tokens stay; it waits before everything of lower rank.
void Scheduler::preempt(RequestState *request) {
  assert(request == running_.back());
  unplan(request);
  running_.pop_back();
  request->running = false;
  cache_.release(request->slot);
  request->computed = 0;
  enqueue(request);
  preempted_ = true;
  ++preemptions_;
}

void Scheduler::close_plan() {
  std::erase_if(plan_.requests, [](const PlannedRequest &entry) { return entry.request == nullptr; });
  plan_.shape = {};
  for (PlannedRequest &entry : plan_.requests) {
    entry.first_row = plan_.shape.rows;
    entry.first_hidden_row = plan_.shape.hidden_rows;
    plan_.shape.tokens += entry.count;
    plan_.shape.rows += entry.rows;
    plan_.shape.hidden_rows += entry.hidden_rows;
    entry.request->planned = -1;
  }
  plan_.shape.sequences = int64_t(plan_.requests.size());
}

// ---- admission
// -------------------------------------------------------------------------------------------------------

// The first that waits; if no slot is free for it, the first that has one.
RequestState *Scheduler::candidate() {
  RequestState *request = waiting_.front();
  while (request && request->slot < 0 && free_slots_.size() < slots_needed(*request)) request = request->next;
  return request;
}

size_t Scheduler::slots_needed(const RequestState &request) const {
  return request.is_beam_search() ? 1 + request.followers.size() : 1;
}

void Scheduler::give_slot(RequestState *request) {
  request->slot = free_slots_.back();
  free_slots_.pop_back();
  request->tokens = token_store_.data() + int64_t(request->slot) * slot_tokens_;
}

void Scheduler::take_slot(RequestState *request) {
  if (request->slot >= 0) return;
  waiting_tokens_ -= request->prompt_length;
  give_slot(request);
  if (request->is_beam_search()) // all at once: two searches that had half of theirs would wait for ever
    for (auto &beam : request->followers) give_slot(beam.get());
  std::copy(request->spec.prompt.begin(), request->spec.prompt.end(), request->tokens);
  std::vector<int32_t>().swap(request->spec.prompt);
  cache_.begin(request->slot,
               root_page_key(request->spec.cache_salt, options_.uses_rope_length ? request->prompt_length : -1));
}

// A request that was preempted in the middle of its prompt still gets the logits or hidden states of the rest of it,
// whoever may have cached those pages meanwhile.
int64_t Scheduler::attachable(const RequestState &request) const {
  if (request.spec.pooling == Pooling::kMean) return std::min(request.token_count, request.pooled + 1);
  if (request.spec.pooling == Pooling::kCls && request.pooled == 0) return 1;
  if (!request.admitted && request.spec.prompt_logprobs >= 0) return 1;
  if (!request.admitted || !request.wants_prompt_logits()) return request.token_count;
  return std::min(request.token_count, request.logits_delivered + 1);
}

void Scheduler::admit() {
  while (tokens_left_ > 0 && prompt_left_ > 0 && running() < options_.limits.sequences) {
    RequestState *request = candidate();
    if (!request) return;
    take_slot(request);
    const int64_t cached = cache_.attach(request->slot, request->known().first(size_t(attachable(*request))));
    if (!admissible(*request)) {
      cache_.release(request->slot);
      return; // what comes behind it must not overtake it
    }
    start(request, cached);
    place(request);
  }
}

bool Scheduler::admissible(const RequestState &request) const {
  if (running_.empty()) return true; // check() has seen that it fits alone
  return options_.admission == Admission::kPredicted ? fits_at_peak(request) : fits_now(request);
}

// Pages for every token it has, beside those that running prompts still have to take, and one more for each that runs,
// so that it is not preempted again at once.
bool Scheduler::fits_now(const RequestState &request) const {
  for (int group = 0; group < cache_.group_count(); ++group) {
    auto missing = [&](const RequestState &r) {
      return std::max<int64_t>(0, cache_.pages_for(group, r.token_count, options_.chunk_tokens) -
                                      cache_.held(group, r.slot));
    };
    int64_t needed = missing(request) + running();
    for (const RequestState *other : running_) needed += missing(*other);
    if (needed > cache_.pool(group).available()) return false;
  }
  return true;
}

// Pages for all that run and this one at their longest, so that pages never run out. Shared ones count for each.
bool Scheduler::fits_at_peak(const RequestState &request) const {
  for (int group = 0; group < cache_.group_count(); ++group) {
    auto peak = [&](const RequestState &r) {
      return cache_.pages_for(group, r.peak_length(options_.max_model_len), options_.chunk_tokens);
    };
    int64_t needed = peak(request) * (1 + request.to_fork());
    for (const RequestState *other : running_) needed += peak(*other) * (1 + other->to_fork());
    if (needed > cache_.pool(group).total()) return false;
  }
  return true;
}

void Scheduler::start(RequestState *request, int64_t cached) {
  waiting_.remove(request);
  request->waiting = false;
  request->computed = cached;
  if (!request->admitted) {
    request->admitted = true;
    request->cached_tokens = int32_t(cached);
    request->logits_delivered = cached; // nobody computes those rows
    prefix_queries_ += uint64_t(request->prompt_length);
    prefix_hits_ += uint64_t(cached);
  }
  run(request);
}

void Scheduler::run(RequestState *request) {
  request->running = true;
  auto place = std::upper_bound(running_.begin(), running_.end(), request,
                                [this](const RequestState *a, const RequestState *b) { return outranks(*a, *b); });
  running_.insert(place, request);
}

// ---- after the step
// --------------------------------------------------------------------------------------------------

void Scheduler::commit(const PlannedRequest &entry) {
  RequestState &request = *entry.request;
  request.computed = entry.first + entry.count;
  cache_.commit(request.slot, request.known().first(size_t(request.computed)));
}

void Scheduler::append(RequestState *request, int32_t token) {
  assert(request->token_count < slot_tokens_);
  request->tokens[request->token_count++] = token;
}

bool Scheduler::fork(const RequestState &from, RequestState *to) {
  if (free_slots_.empty()) return false;
  give_slot(to);
  std::vector<int32_t>().swap(to->spec.prompt);
  to->cached_tokens = from.cached_tokens;
  to->prompt_counted = from.prompt_counted;
  take_over(from, to);
  return true;
}

void Scheduler::take_over(const RequestState &from, RequestState *to) {
  assert(from.running && from.pending() == 0 && !to->waiting);
  cache_.release(to->slot);
  cache_.fork(from.slot, to->slot);
  std::copy_n(from.tokens, from.token_count, to->tokens);
  to->token_count = from.token_count;
  to->computed = from.computed;
  to->logits_delivered = from.logits_delivered;
  to->admitted = true;
  if (!to->running) run(to);
}

} // namespace llmrt
