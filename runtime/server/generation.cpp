#include "runtime/server/generation.h"

#include "runtime/server/sse.h"

#include <algorithm>
#include <limits>

namespace llmrt::server {

Json usage_json(const Usage &usage) {
  Json out;
  out["prompt_tokens"] = usage.prompt;
  out["total_tokens"] = usage.prompt + usage.completion;
  out["completion_tokens"] = usage.completion;
  out["prompt_tokens_details"] = Json{{"cached_tokens", usage.cached}};
  return out;
}

Generation::Generation(ServerContext &context, const Model &model, ReplyPtr reply, GenerationRequest request)
    : context_(context), model_(model), reply_(std::move(reply)), request_(std::move(request)) {
  size_t count = request_.prompts.size() * static_cast<size_t>(request_.params.n);
  choices_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    choices_.push_back(Choice{TextStream(model_.tokenizer.get(), request_.params.text), {}});
    choices_[i].pending.index = static_cast<int>(i);
    choices_[i].stream.continue_after(request_.prompts[i / static_cast<size_t>(request_.params.n)]);
    if (!request_.echoes.empty())
      choices_[i].pending.text = request_.echoes[i / static_cast<size_t>(request_.params.n)];
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

RequestSpec Generation::spec_for(int index) {
  const GenerationParams &params = request_.params;
  size_t n = static_cast<size_t>(params.n), at = static_cast<size_t>(index);
  RequestSpec spec;
  spec.prompt = request_.prompts[at / n];
  int64_t room = model_.engine->max_model_len() - static_cast<int64_t>(spec.prompt.size());
  int64_t tokens = params.max_tokens < 0 ? room : params.max_tokens;
  spec.max_tokens = static_cast<int32_t>(std::min<int64_t>(tokens, std::numeric_limits<int32_t>::max()));
  spec.min_tokens = std::min(params.min_tokens, spec.max_tokens);
  spec.stop_ids = params.stop_ids;
  spec.ignore_eos = params.ignore_eos;
  spec.priority = params.priority;
  spec.cache_salt = params.cache_salt;
  spec.sampling = params.sampling;
  spec.sampling.seed += at % n; // as vLLM: choices of one prompt differ, a seed reproduces them all
  spec.on_event = [self = shared_from_this(), reply = reply_, index](Event &&event) {
    Clock::time_point when = Clock::now();
    reply->post([self, index, when, event = std::move(event)]() mutable {
      self->on_event(index, std::move(event), when);
    });
  };
  return spec;
}

Status Generation::submit_all() {
  for (size_t i = 0; i < choices_.size(); ++i) {
    Result<RequestId> id = model_.engine->submit(spec_for(static_cast<int>(i)));
    if (!id.ok())
      return id.status();
    choices_[i].id = *id;
    choices_[i].submitted = true;
  }
  return ok_status();
}

void Generation::start() {
  if (auto error = check_lengths())
    return fail(*error);
  if (context_.draining.load())
    return fail({503, "the server is shutting down", {}, 1});
  if (Status status = submit_all(); !status.ok())
    return fail(error_of_status(status));
  reply_->on_disconnect([weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->cancel();
  });
  if (!request_.params.stream)
    return;
  begun_ = true;
  reply_->begin({200, kSseContentType, {}, {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  for (Choice &choice : choices_) {
    Json opening = request_.format->opening(choice.pending.index);
    if (!opening.is_null())
      reply_->write(sse_event(opening));
    flush(choice);
  }
}

bool Generation::is_stop_id(int32_t id) const {
  auto has = [id](const std::vector<int32_t> &ids) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  return has(request_.params.stop_ids) || (!request_.params.ignore_eos && has(model_.end_ids));
}

void Generation::count_token(Choice &choice, Clock::time_point when) {
  auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  if (choice.generated++ == 0) {
    choice.first_token = when;
    context_.metrics.time_to_first_token.observe(seconds(when - arrival_));
  } else {
    context_.metrics.inter_token_latency.observe(seconds(when - choice.last_token));
  }
  choice.last_token = when;
}

void Generation::take_token(Choice &choice, NewToken token) {
  int32_t id = token.id;
  choice.pending.text += is_stop_id(id) ? choice.stream.push_stop_id(id) : choice.stream.push(id);
  if (std::find(request_.params.stop_ids.begin(), request_.params.stop_ids.end(), id) !=
      request_.params.stop_ids.end())
    choice.pending.stop_reason = id;
  if (request_.params.sampling.logprobs >= 0)
    choice.pending.tokens.push_back(std::move(token));
}

void Generation::on_event(int index, Event event, Clock::time_point when) {
  Choice &choice = choices_[static_cast<size_t>(index)];
  if (over_ || choice.done)
    return;
  if (event.finish == FinishReason::kError)
    return fail({500, event.error.empty() ? "the engine failed" : event.error, {}, 0});
  if (event.finish == FinishReason::kCancelled)
    return fail({503, "the request was cancelled: the server is shutting down", {}, 1});
  choice.cached = std::max(choice.cached, event.cached_tokens);
  for (NewToken &token : event.tokens) {
    count_token(choice, when);
    take_token(choice, std::move(token));
    if (choice.stream.stopped()) {
      choice.pending.stop_reason = choice.stream.stop_string();
      model_.engine->cancel(choice.id);
      return finish_choice(choice, FinishReason::kStop);
    }
  }
  if (event.finish != FinishReason::kNone)
    return finish_choice(choice, event.finish);
  if (request_.params.stream)
    flush(choice);
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
  auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  Metrics &metrics = context_.metrics;
  size_t prompt = static_cast<size_t>(choice.pending.index) / static_cast<size_t>(request_.params.n);
  metrics.outcomes[static_cast<size_t>(reason == FinishReason::kStop ? Outcome::kStop : Outcome::kLength)]++;
  metrics.prompt_tokens.observe(static_cast<double>(request_.prompts[prompt].size()));
  metrics.generation_tokens.observe(static_cast<double>(choice.generated));
  metrics.e2e_latency.observe(seconds(Clock::now() - arrival_));
  if (choice.generated > 0) {
    double decode = seconds(choice.last_token - choice.first_token);
    metrics.decode_time.observe(decode);
    if (choice.generated > 1)
      metrics.time_per_output_token.observe(decode / static_cast<double>(choice.generated - 1));
  }
  if (request_.params.stream)
    flush(choice);
  if (done_ == choices_.size())
    finish_all();
}

// Streams what is pending of a choice, if there is anything to say.
void Generation::flush(Choice &choice) {
  Delta &pending = choice.pending;
  if (pending.text.empty() && pending.finish_reason.empty())
    return;
  pending.text_offset = choice.text_bytes;
  choice.text_bytes += pending.text.size();
  Json chunk = request_.format->chunk(pending);
  if (request_.params.continuous_usage)
    chunk["usage"] = usage_json(usage());
  else if (request_.params.include_usage)
    chunk["usage"] = nullptr;
  reply_->write(sse_event(chunk));
  Delta next;
  next.index = pending.index;
  pending = std::move(next);
}

void Generation::finish_all() {
  over_ = true;
  if (!request_.params.stream) {
    std::vector<Delta> deltas;
    for (Choice &choice : choices_)
      deltas.push_back(std::move(choice.pending));
    reply_->send(json_response(request_.format->whole(deltas, usage())));
    return;
  }
  if (request_.params.include_usage)
    reply_->write(sse_event(request_.format->usage_chunk(usage())));
  reply_->write(kSseDone);
  reply_->end();
}

// Before the stream has begun the client gets a status; after that, an event.
void Generation::fail(const ApiError &error) {
  for (Choice &choice : choices_)
    if (!choice.done && choice.submitted)
      model_.engine->cancel(choice.id);
  over_ = true;
  if (error.status >= 500)
    context_.metrics.outcomes[static_cast<size_t>(Outcome::kError)] += choices_.size() - done_;
  if (!begun_) {
    reply_->send(error_response(error));
    return;
  }
  reply_->write(sse_event(error_json(error)));
  reply_->write(kSseDone);
  reply_->end();
}

void Generation::cancel() {
  if (over_)
    return;
  over_ = true;
  for (Choice &choice : choices_)
    if (!choice.done)
      model_.engine->cancel(choice.id);
  context_.metrics.outcomes[static_cast<size_t>(Outcome::kAbort)] += choices_.size() - done_;
}

Usage Generation::usage() const {
  Usage out;
  for (const auto &prompt : request_.prompts)
    out.prompt += static_cast<int64_t>(prompt.size());
  for (const Choice &choice : choices_)
    out.completion += choice.generated;
  // Choices of one prompt share its pages; what the first found is what was saved for the client's prompt.
  for (size_t i = 0; i < choices_.size(); i += static_cast<size_t>(request_.params.n))
    out.cached += choices_[i].cached;
  return out;
}

} // namespace llmrt::server
