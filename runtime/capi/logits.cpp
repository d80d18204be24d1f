#include "runtime/capi/handles.h"

#include <algorithm>

using namespace llmrt;
using namespace llmrt::capi;

namespace {

struct LogitsRun {
  std::mutex mutex;
  std::condition_variable changed;
  float *logits = nullptr; // the caller's; null once it no longer waits
  bool done = false;
  Status status;
};

RequestSpec spec_for(llmrt_model &handle, const int32_t *ids, size_t count, const std::shared_ptr<LogitsRun> &run) {
  RequestSpec spec;
  spec.prompt.assign(ids, ids + count);
  spec.max_tokens = 0;
  // Rows of cached positions are never computed: these pages are shared with nobody.
  spec.cache_salt = "llmrt_logits " + std::to_string(handle.logits_runs.fetch_add(1));
  size_t vocabulary = static_cast<size_t>(handle.model->vocabulary);
  spec.on_prompt_logits = [run, vocabulary](int64_t first, std::span<const float> rows) {
    std::lock_guard lock(run->mutex);
    if (run->logits)
      std::copy(rows.begin(), rows.end(), run->logits + static_cast<size_t>(first) * vocabulary);
  };
  spec.on_event = [run](Event &&event) {
    std::lock_guard lock(run->mutex);
    if (event.finish == FinishReason::kNone)
      return;
    if (event.finish == FinishReason::kError)
      run->status = Status(StatusCode::kInternal, event.error);
    if (event.finish == FinishReason::kCancelled)
      run->status = Status(StatusCode::kCancelled, "the model is being closed");
    run->done = true;
    run->changed.notify_all();
  };
  return spec;
}

} // namespace

extern "C" llmrt_code llmrt_logits(llmrt_model *model, const int32_t *ids, size_t count, float *logits,
                                   size_t capacity, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !ids || !logits)
      return missing("model, ids and logits", error);
    size_t vocabulary = static_cast<size_t>(model->model->vocabulary);
    if (count > capacity / std::max<size_t>(vocabulary, 1))
      return report(LLMRT_TOO_SMALL, "the buffer takes " + std::to_string(capacity) + " floats, " +
                                         std::to_string(count) + " x " + std::to_string(vocabulary) + " are needed",
                    error);
    auto run = std::make_shared<LogitsRun>();
    run->logits = logits;
    Result<RequestId> id = model->model->engine->submit(spec_for(*model, ids, count, run));
    if (!id.ok())
      return report(id.status(), error);
    std::unique_lock lock(run->mutex);
    while (!run->done) {
      if (model->thread) {
        run->changed.wait(lock);
        continue;
      }
      lock.unlock();
      Status status = model->step();
      lock.lock();
      if (!status.ok()) {
        run->logits = nullptr;
        return report(status, error);
      }
    }
    return report(run->status, error);
  });
}
