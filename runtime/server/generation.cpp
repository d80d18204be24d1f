#include "runtime/server/generation.h"

#include "runtime/base/os.h"
#include "runtime/server/sse.h"

#include <algorithm>
#include <limits>

namespace llmrt::server {

static double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

Generation::Generation(ServerContext &context, const Model &model, ReplyPtr reply, GenerationRequest request)
    : context_(context), lease_(context.models.hold(model)), model_(model), reply_(std::move(reply)), request_(std::move(request)) {
  prompts_.resize(request_.prompts.size());
  size_t count = prompts_.size() * branches();
  choices_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    choices_.push_back(Choice{TextStream(model_.tokenizer.get(), request_.params.text), {}});
    choices_[i].pending.index = static_cast<int>(i);
    choices_[i].stream.continue_after(request_.prompts[i / branches()]);
    if (!request_.echoes.empty())
      choices_[i].pending.text = request_.echoes[i / branches()];
  }
  context_.in_flight.fetch_add(1, std::memory_order_relaxed);
}

Generation::~Generation() { context_.in_flight.fetch_sub(1, std::memory_order_relaxed); }

std::optional<ApiError> Generation::check_lengths() const {
  int64_t most = model_.engine->max_model_len();
  for (const auto &prompt : request_.prompts) {
    int64_t length = static_cast<int64_t>(prompt.size());
    int64_t wanted = std::max<int64_t>(request_.params.max_tokens, request_.params.max_tokens < 0 ? 1 : 0);
    if (length == 0)
      return ApiError{400, "the prompt is empty: it needs at least one token", "prompt", 0};
    if (length + wanted > most)
      return ApiError{400,
                      "This model's maximum context length is " + std::to_string(most) +
                          " tokens. However, you requested " + std::to_string(length + wanted) + " tokens (" +
                          std::to_string(length) + " in the prompt, " + std::to_string(wanted) +
                          " for the completion). Please reduce the length of the prompt or of the completion.",
                      "prompt", 0};
    for (int32_t id : prompt)
      if (id < 0 || id >= model_.vocabulary)
        return ApiError{400, "prompt: " + std::to_string(id) + " is not a token id of this model", "prompt", 0};
  }
  return std::nullopt;
}

int Generation::scored_alternatives() const {
  bool echoed = !request_.echoes.empty() && request_.params.sampling.logprobs >= 0;
  return std::max(request_.params.prompt_logprobs, echoed ? request_.params.sampling.logprobs : -1);
}

// The request's own deadline or the server's, whichever is earlier.
uint64_t Generation::deadline_ns() const {
  uint64_t own = request_.params.deadline_ns;
  if (context_.config.request_seconds <= 0)
    return own;
  uint64_t most = os::monotonic_ns() + static_cast<uint64_t>(context_.config.request_seconds * 1e9);
  return own > 0 ? std::min(own, most) : most;
}

RequestSpec Generation::spec_for(size_t prompt) {
  const GenerationParams &params = request_.params;
  RequestSpec spec;
  spec.prompt = request_.prompts[prompt];
  int64_t room = model_.engine->max_model_len() - static_cast<int64_t>(spec.prompt.size());
  int64_t tokens = params.max_tokens < 0 ? room : params.max_tokens;
  spec.max_tokens = static_cast<int32_t>(std::min<int64_t>(tokens, std::numeric_limits<int32_t>::max()));
  spec.min_tokens = std::min(params.min_tokens, spec.max_tokens);
  spec.branches = params.best_of;
  if (params.beam_search) {
    spec.beams = {params.best_of, params.length_penalty};
    spec.branches = params.n;
  }
  spec.stop_ids = params.stop_ids;
  spec.ignore_eos = params.ignore_eos;
  spec.priority = params.priority;
  spec.deadline_ns = deadline_ns();
  spec.cache_salt = params.cache_salt;
  spec.sampling = params.sampling;
  spec.pooling = params.pooling;
  spec.rules = params.rules;
  spec.prompt_logprobs = scored_alternatives();
  if (params.best_of > params.n || request_.format->wants_every_token())
    spec.sampling.logprobs = std::max(spec.sampling.logprobs, 0);
  int first = static_cast<int>(prompt * branches());
  spec.on_event = [self = shared_from_this(), reply = reply_, first](Event &&event) {
    Clock::time_point when = Clock::now();
    reply->post([self, first, when, event = std::move(event)]() mutable {
      int index = first + event.branch;
      self->on_event(index, std::move(event), when);
    });
  };
  return spec;
}

std::optional<ApiError> Generation::make_rules() {
  GenerationParams &params = request_.params;
  if (params.shape.any())
    return std::nullopt;
  Status status = model_.need_tokenizer();
  if (status.ok()) {
    auto rules = model_.grammars->rules(params.shape.key, params.shape.make, params.stop_ids);
    if (rules.ok())
      params.rules = std::move(*rules);
    status = rules.status();
  }
  if (status.ok())
    return std::nullopt;
  int code = status.code() == StatusCode::kInternal ? 500 : 400;
  return ApiError{code, params.shape.field + ": " + status.message(), params.shape.field, 0};
}

Status Generation::submit_all() {
  submitted_ = Clock::now();
  for (size_t i = 0; i < prompts_.size(); ++i) {
    Result<RequestId> id = model_.engine->submit(spec_for(i));
    if (!id.ok())
      return id.status();
    prompts_[i].id = *id;
    prompts_[i].submitted = true;
  }
  return ok_status();
}

void Generation::start() {
  if (auto error = check_lengths())
    return fail(*error);
  if (auto error = make_rules())
    return fail(*error);
  if (context_.draining.load())
    return fail({503, "the server is shutting down", {}, 1});
  if (request_.params.beam_search) { // the engine gives the best n alone
    request_.params.best_of = std::max(request_.params.best_of, request_.params.n);
    for (Choice &choice : choices_)
      if (choice.pending.index % request_.params.best_of >= request_.params.n) {
        choice.done = true;
        ++done_;
      }
  }
  if (Status status = submit_all(); !status.ok())
    return fail(error_of_status(status));
  reply_->on_disconnect([weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->cancel();
  });
  if (!request_.params.stream)
    return;
  begun_ = true;
  reply_->begin(
      {200, request_.format->stream_type(), {}, {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  std::string opening = request_.format->begin(static_cast<int>(choices_.size()), usage());
  if (!opening.empty())
    reply_->write(opening);
  if (scored_alternatives() < 0)
    for (Choice &choice : choices_)
      flush(choice);
}

bool Generation::is_stop_id(int32_t id) const {
  auto has = [id](const std::vector<int32_t> &ids) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  return has(request_.params.stop_ids) || (!request_.params.ignore_eos && has(model_.end_ids));
}

void Generation::count_token(Choice &choice, Clock::time_point when) {
  if (choice.generated++ == 0) {
    choice.first_token = when;
    lease_->metrics->time_to_first_token.observe(seconds(when - arrival_));
  } else {
    lease_->metrics->inter_token_latency.observe(seconds(when - choice.last_token));
  }
  choice.last_token = when;
}

void Generation::take_token(Choice &choice, NewToken token) {
  int32_t id = token.id;
  choice.pending.text += is_stop_id(id) ? choice.stream.push_stop_id(id) : choice.stream.push(id);
  choice.logprob_sum += static_cast<double>(token.logprob);
  if (std::find(request_.params.stop_ids.begin(), request_.params.stop_ids.end(), id) !=
      request_.params.stop_ids.end())
    choice.pending.stop_reason = id;
  if (request_.params.sampling.logprobs >= 0 || request_.format->wants_every_token())
    choice.pending.tokens.push_back(std::move(token));
}

// The echoed prompt's tokens come before the choice's first own token; all of them have been scored by then.
void Generation::add_echo(Choice &choice) {
  size_t prompt = prompt_of(choice);
  if (request_.echoes.empty() || scored_alternatives() < 0 || choice.echoed)
    return;
  choice.echoed = true;
  NewToken first;
  first.id = request_.prompts[prompt].front();
  first.logprob = std::numeric_limits<float>::quiet_NaN();
  choice.pending.prompt = prompts_[prompt].scored;
  choice.pending.prompt.insert(choice.pending.prompt.begin(), first);
}

void Generation::on_event(int index, Event event, Clock::time_point when) {
  Choice &choice = choices_[static_cast<size_t>(index)];
  if (over_ || choice.done)
    return;
  if (event.finish == FinishReason::kError)
    return fail({500, event.error.empty() ? "the engine failed" : event.error, {}, 0});
  if (event.finish == FinishReason::kCancelled)
    return fail({503, "the request was cancelled: its model is being unloaded, or the server is shutting down", {}, 1});
  if (event.finish == FinishReason::kDeadline)
    return fail({504, "the request's deadline has passed", {}, 0});
  choice.cached = std::max(choice.cached, event.cached_tokens);
  choice.waited = std::chrono::nanoseconds(event.waited_ns);
  Prompt &prompt = prompts_[prompt_of(choice)];
  std::move(event.prompt.begin(), event.prompt.end(), std::back_inserter(prompt.scored));
  if (event.tokens.empty() && event.finish == FinishReason::kNone)
    return;
  add_echo(choice);
  choice.pending.embedding = std::move(event.embedding);
  for (NewToken &token : event.tokens) {
    count_token(choice, when);
    take_token(choice, std::move(token));
    if (choice.stream.stopped()) {
      choice.pending.stop_reason = choice.stream.stop_string();
      cancel_choice(choice);
      return finish_choice(choice, FinishReason::kStop);
    }
  }
  if (event.finish != FinishReason::kNone)
    return finish_choice(choice, event.finish);
  if (request_.params.stream)
    flush(choice);
}

void Generation::cancel_choice(const Choice &choice) {
  const Prompt &prompt = prompts_[prompt_of(choice)];
  if (prompt.submitted)
    model_.engine->cancel(prompt.id + static_cast<size_t>(choice.pending.index) % branches());
}

void Generation::finish_choice(Choice &choice, FinishReason reason) {
  choice.pending.text += choice.stream.finish();
  if (choice.stream.stopped()) { // found in the last bytes
    choice.pending.stop_reason = choice.stream.stop_string();
    reason = FinishReason::kStop;
  }
  if (reason != FinishReason::kStop)
    choice.pending.stop_reason = nullptr;
  choice.pending.finish_reason = reason == FinishReason::kStop ? "stop" : "length";
  choice.done = true;
  ++done_;
  count_choice(choice, reason);
  if (request_.params.stream)
    flush(choice);
  if (done_ == choices_.size())
    finish_all();
}

void Generation::count_choice(const Choice &choice, FinishReason reason) {
  ModelMetrics &metrics = *lease_->metrics;
  metrics.outcomes[static_cast<size_t>(reason == FinishReason::kStop ? Outcome::kStop : Outcome::kLength)]++;
  metrics.prompt_tokens.observe(static_cast<double>(request_.prompts[prompt_of(choice)].size()));
  metrics.generation_tokens.observe(static_cast<double>(choice.generated));
  metrics.e2e_latency.observe(seconds(Clock::now() - arrival_));
  if (choice.generated == 0)
    return;
  const Clock::time_point scheduled = submitted_ + choice.waited;
  double decode = seconds(choice.last_token - choice.first_token);
  metrics.queue_time.observe(seconds(choice.waited));
  metrics.prefill_time.observe(seconds(choice.first_token - scheduled));
  metrics.inference_time.observe(seconds(choice.last_token - scheduled));
  metrics.decode_time.observe(decode);
  if (choice.generated > 1)
    metrics.time_per_output_token.observe(decode / static_cast<double>(choice.generated - 1));
}

// Streams what is pending of a choice, if there is anything to say.
void Generation::flush(Choice &choice) {
  Delta &pending = choice.pending;
  bool tokens = request_.format->says_every_token() && choice.generated > choice.said;
  if (pending.text.empty() && pending.finish_reason.empty() && !tokens)
    return;
  choice.said = choice.generated;
  pending.text_offset = choice.text_bytes;
  choice.text_bytes += pending.text.size();
  if (std::string bytes = request_.format->delta(pending, usage()); !bytes.empty())
    reply_->write(bytes);
  Delta next;
  next.index = pending.index;
  pending = std::move(next);
}

// The n best of each prompt's choices, numbered anew.
std::vector<Delta> Generation::best_deltas() {
  std::vector<Delta> out;
  size_t wanted = static_cast<size_t>(request_.params.n);
  auto mean = [](const Choice *choice) {
    return choice->generated ? choice->logprob_sum / static_cast<double>(choice->generated) : 0;
  };
  for (size_t prompt = 0; prompt < prompts_.size(); ++prompt) {
    std::vector<Choice *> order;
    for (size_t i = 0; i < branches(); ++i)
      order.push_back(&choices_[prompt * branches() + i]);
    if (branches() > wanted && !request_.params.beam_search)
      std::sort(order.begin(), order.end(), [&](const Choice *a, const Choice *b) {
        return mean(a) != mean(b) ? mean(a) > mean(b) : a->pending.index < b->pending.index;
      });
    for (size_t i = 0; i < wanted; ++i) {
      out.push_back(std::move(order[i]->pending));
      out.back().index = static_cast<int>(prompt * wanted + i);
    }
  }
  return out;
}

Json Generation::prompt_logprobs() const {
  Json out = Json::array();
  for (const Prompt &prompt : prompts_)
    out.push_back(request_.params.prompt_logprobs < 0 ? Json(nullptr) : prompt_logprobs_json(model_, prompt.scored));
  return out;
}

// One span, with vLLM's attributes; latencies are those of the first choice.
void Generation::trace(bool failed) const {
  if (!context_.trace)
    return;
  const Choice &first = choices_.front();
  const Usage used = usage();
  const GenerationParams &params = request_.params;
  Span span;
  span.context = parse_traceparent(reply_->traceparent());
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  span.end_ns = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
  double lasted = seconds(Clock::now() - arrival_);
  span.start_ns = span.end_ns - static_cast<uint64_t>(lasted * 1e9);
  span.failed = failed;
  Json &to = span.attributes;
  to["gen_ai.request.id"] = reply_->request_id();
  to["gen_ai.response.model"] = context_.model_name(model_);
  to["gen_ai.request.temperature"] = params.sampling.temperature;
  to["gen_ai.request.top_p"] = params.sampling.top_p;
  to["gen_ai.request.max_tokens"] = params.max_tokens;
  to["gen_ai.request.n"] = params.n;
  to["gen_ai.usage.num_sequences"] = choices_.size();
  to["gen_ai.usage.prompt_tokens"] = used.prompt;
  to["gen_ai.usage.completion_tokens"] = used.completion;
  to["gen_ai.latency.e2e"] = lasted;
  if (first.generated > 0) {
    const Clock::time_point scheduled = submitted_ + first.waited;
    to["gen_ai.latency.time_in_queue"] = seconds(first.waited);
    to["gen_ai.latency.time_to_first_token"] = seconds(first.first_token - arrival_);
    to["gen_ai.latency.time_in_model_prefill"] = seconds(first.first_token - scheduled);
    to["gen_ai.latency.time_in_model_decode"] = seconds(first.last_token - first.first_token);
    to["gen_ai.latency.time_in_model_inference"] = seconds(first.last_token - scheduled);
  }
  context_.trace(std::move(span));
}

void Generation::finish_all() {
  over_ = true;
  trace(false);
  if (!request_.params.stream) {
    std::vector<Delta> deltas = best_deltas();
    reply_->send(json_response(request_.format->whole(deltas, usage(), prompt_logprobs())));
    return;
  }
  std::string last = request_.format->end(usage());
  if (!last.empty())
    reply_->write(last);
  reply_->end();
}

// Before the stream has begun the client gets a status; after that, an event.
void Generation::fail(const ApiError &error) {
  for (Choice &choice : choices_)
    if (!choice.done)
      cancel_choice(choice);
  over_ = true;
  trace(true);
  if (error.status >= 500)
    lease_->metrics->outcomes[static_cast<size_t>(Outcome::kError)] += choices_.size() - done_;
  if (!begun_) {
    reply_->send(request_.format->error(error));
    return;
  }
  reply_->write(request_.format->stream_error(error));
  reply_->end();
}

void Generation::cancel() {
  if (over_)
    return;
  over_ = true;
  for (Choice &choice : choices_)
    if (!choice.done)
      cancel_choice(choice);
  lease_->metrics->outcomes[static_cast<size_t>(Outcome::kAbort)] += choices_.size() - done_;
}

Usage Generation::usage() const {
  Usage out;
  for (const auto &prompt : request_.prompts)
    out.prompt += static_cast<int64_t>(prompt.size());
  for (const Choice &choice : choices_)
    out.completion += choice.generated;
  // Choices of one prompt share its pages; what the first found is what was saved for the client's prompt.
  for (size_t i = 0; i < choices_.size(); i += branches())
    out.cached += choices_[i].cached;
  if (const Choice &first = choices_.front(); first.generated > 0) {
    out.prompt_seconds = seconds(first.first_token - arrival_);
    out.decode_seconds = seconds(first.last_token - first.first_token);
  }
  return out;
}

} // namespace llmrt::server
