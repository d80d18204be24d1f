#include "runtime/capi/handles.h"

#include <algorithm>
#include <chrono>

using namespace llmrt;
using namespace llmrt::capi;

namespace {

llmrt_finish_reason reason_of(FinishReason reason) {
  switch (reason) {
  case FinishReason::kStop:
    return LLMRT_FINISH_STOP;
  case FinishReason::kLength:
    return LLMRT_FINISH_LENGTH;
  case FinishReason::kCancelled:
  case FinishReason::kDeadline: // none can be set through this API
    return LLMRT_FINISH_CANCELLED;
  case FinishReason::kError:
    return LLMRT_FINISH_ERROR;
  case FinishReason::kNone:
    break;
  }
  return LLMRT_FINISH_NONE;
}

void finish(RequestState &state, llmrt_finish_reason reason) {
  PendingEvent last;
  last.type = LLMRT_EVENT_FINISHED;
  last.text = state.text.finish();
  last.reason = state.text.stopped() ? LLMRT_FINISH_STOP : reason;
  state.events.push_back(std::move(last));
  state.finished = true;
}

// On the engine's thread: tokens become text here, so that a stop string ends the request at once.
void take(RequestState &state, Engine &engine, const std::vector<int32_t> &end_ids, Event &&event) {
  std::lock_guard lock(state.mutex);
  if (state.finished)
    return;
  state.cached_tokens = std::max<int64_t>(state.cached_tokens, event.cached_tokens);
  for (const NewToken &token : event.tokens) {
    ++state.new_tokens;
    PendingEvent next;
    next.type = LLMRT_EVENT_TOKEN;
    next.token = token.id;
    next.logprob = token.logprob;
    bool end = std::find(end_ids.begin(), end_ids.end(), token.id) != end_ids.end();
    next.text = end ? state.text.push_stop_id(token.id) : state.text.push(token.id);
    state.events.push_back(std::move(next));
    if (state.text.stopped()) {
      engine.cancel(event.id);
      finish(state, LLMRT_FINISH_STOP);
      break;
    }
  }
  if (!state.finished && event.finish != FinishReason::kNone) {
    state.error = event.error;
    finish(state, reason_of(event.finish));
  }
  state.changed.notify_all();
}

Status read_options(const llmrt_request_options &options, RequestSpec &spec, TextOptions &text) {
  auto wrong = [](const char *message) { return Status(StatusCode::kInvalidArgument, message); };
  if (!options.prompt || options.prompt_count == 0)
    return wrong("the prompt is empty: it needs at least one token");
  if ((!options.stop_ids && options.stop_id_count > 0) || (!options.stop_strings && options.stop_string_count > 0))
    return wrong("stop_ids or stop_strings is NULL, but its count is not 0");
  spec.prompt.assign(options.prompt, options.prompt + options.prompt_count);
  spec.max_tokens = options.max_tokens;
  spec.min_tokens = options.min_tokens;
  spec.ignore_eos = options.ignore_eos != 0;
  spec.priority = options.priority;
  if (options.stop_id_count > 0)
    spec.stop_ids.assign(options.stop_ids, options.stop_ids + options.stop_id_count);
  for (size_t i = 0; i < options.stop_string_count; ++i) {
    const llmrt_string &stop = options.stop_strings[i];
    if (!stop.data || stop.length == 0)
      return wrong("a stop string is empty");
    text.stop.emplace_back(stop.data, stop.length);
  }
  text.skip_special = options.keep_special == 0;
  text.min_tokens = options.min_tokens;
  return ok_status();
}

Status read_sampling(const Model &model, const llmrt_sampling *sampling, SamplingParams &out) {
  out = model.defaults;
  if (!sampling)
    return ok_status();
  llmrt_sampling known{};
  known.temperature = out.temperature;
  known.top_p = out.top_p;
  known.min_p = out.min_p;
  known.top_k = out.top_k;
  known.repetition_penalty = out.repetition_penalty;
  known.logprobs = -1;
  if (!read_struct(sampling, &known))
    return Status(StatusCode::kInvalidArgument, "sampling->size is not set");
  out.temperature = known.temperature;
  out.top_p = known.top_p;
  out.min_p = known.min_p;
  out.top_k = known.top_k;
  out.repetition_penalty = known.repetition_penalty;
  out.presence_penalty = known.presence_penalty;
  out.frequency_penalty = known.frequency_penalty;
  out.seed = known.seed;
  out.logprobs = known.logprobs;
  return ok_status();
}

} // namespace

extern "C" llmrt_code llmrt_submit(llmrt_model *model, const llmrt_request_options *options, llmrt_request **request,
                                   llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !options || !request)
      return missing("model, options and request", error);
    *request = nullptr;
    llmrt_request_options known{};
    if (!read_struct(options, &known))
      return unsized("options", error);
    RequestSpec spec;
    TextOptions text;
    Status status = read_options(known, spec, text);
    if (status.ok())
      status = read_sampling(*model->model, known.sampling, spec.sampling);
    if (status.ok() && !text.stop.empty())
      status = model->model->need_tokenizer();
    if (!status.ok())
      return report(status, error);
    auto handle = std::make_unique<llmrt_request>();
    handle->model = model;
    handle->state = std::make_shared<RequestState>(model->model->tokenizer.get(), text);
    handle->state->text.continue_after(spec.prompt);
    handle->state->prompt_tokens = static_cast<int64_t>(spec.prompt.size());
    std::vector<int32_t> ends = spec.stop_ids;
    if (!spec.ignore_eos)
      ends.insert(ends.end(), model->model->end_ids.begin(), model->model->end_ids.end());
    spec.on_event = [state = handle->state, engine = model->model->engine.get(),
                     ends = std::move(ends)](Event &&event) { take(*state, *engine, ends, std::move(event)); };
    Result<RequestId> id = model->model->engine->submit(std::move(spec));
    if (!id.ok())
      return report(id.status(), error);
    handle->id = *id;
    *request = handle.release();
    return LLMRT_OK;
  });
}

extern "C" void llmrt_cancel(llmrt_request *request) {
  if (!request)
    return;
  request->model->model->engine->cancel(request->id);
}

extern "C" void llmrt_release(llmrt_request *request) {
  if (!request)
    return;
  bool running;
  {
    std::lock_guard lock(request->state->mutex);
    running = !request->state->finished;
    request->state->finished = true; // later events are dropped
  }
  if (running)
    request->model->model->engine->cancel(request->id);
  delete request;
}

extern "C" llmrt_code llmrt_poll(llmrt_request *request, int64_t timeout_ms, llmrt_event *event, llmrt_error *error) {
  return guarded(error, [&] {
    if (!request || !event)
      return missing("request and event", error);
    RequestState &state = *request->state;
    std::unique_lock lock(state.mutex);
    auto ready = [&state] { return !state.events.empty(); };
    if (timeout_ms < 0)
      state.changed.wait(lock, ready);
    else if (timeout_ms > 0)
      state.changed.wait_for(lock, std::chrono::milliseconds(std::min<int64_t>(timeout_ms, 1ll << 40)), ready);
    llmrt_event out{};
    out.prompt_tokens = state.prompt_tokens;
    out.cached_tokens = state.cached_tokens;
    out.new_tokens = state.new_tokens;
    request->shown_text.clear();
    if (ready()) {
      PendingEvent &next = state.events.front();
      out.type = next.type;
      out.token = next.token;
      out.logprob = next.logprob;
      out.finish_reason = next.reason;
      request->shown_text.swap(next.text);
      if (next.type != LLMRT_EVENT_FINISHED) // which stays, without its text
        state.events.pop_front();
    }
    out.text = {request->shown_text.data(), request->shown_text.size()};
    if (out.finish_reason == LLMRT_FINISH_ERROR)
      report(LLMRT_INTERNAL, state.error, error);
    if (!write_struct(out, event))
      return unsized("event", error);
    return LLMRT_OK;
  });
}

extern "C" llmrt_code llmrt_step(llmrt_model *model, int32_t *worked, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !worked)
      return missing("model and worked", error);
    if (model->thread)
      return report(LLMRT_UNSUPPORTED, "the model runs its own steps; open it with manual_steps = 1", error);
    Result<bool> stepped = model->model->engine->step();
    if (!stepped.ok())
      return report(stepped.status(), error);
    *worked = *stepped ? 1 : 0;
    return LLMRT_OK;
  });
}
