#include "runtime/capi/handles.h"
#include "runtime/engine/pooling.h"

#include <algorithm>

using namespace llmrt;
using namespace llmrt::capi;

namespace {

// A request whose rows the caller waits for.
struct RowsRun {
  std::mutex mutex;
  std::condition_variable changed;
  float *rows = nullptr; // the caller's; null once it no longer waits
  bool done = false;
  Status status;
};

RequestSpec spec_for(const int32_t *ids, size_t count, const std::shared_ptr<RowsRun> &run) {
  RequestSpec spec;
  spec.prompt.assign(ids, ids + count);
  spec.max_tokens = 0;
  spec.on_event = [run](Event &&event) {
    std::lock_guard lock(run->mutex);
    if (event.finish == FinishReason::kNone)
      return;
    if (event.finish == FinishReason::kError)
      run->status = Status(StatusCode::kInternal, event.error);
    if (event.finish == FinishReason::kCancelled)
      run->status = Status(StatusCode::kCancelled, "the model is being closed");
    if (run->rows)
      std::copy(event.embedding.begin(), event.embedding.end(), run->rows);
    run->done = true;
    run->changed.notify_all();
  };
  return spec;
}

void want_logits(llmrt_model &handle, const std::shared_ptr<RowsRun> &run, RequestSpec &spec) {
  // Rows of cached positions are never computed: these pages are shared with nobody.
  spec.cache_salt = "llmrt_logits " + std::to_string(handle.logits_runs.fetch_add(1));
  size_t vocabulary = static_cast<size_t>(handle.model->vocabulary);
  spec.on_prompt_logits = [run, vocabulary](int64_t first, std::span<const float> rows) {
    std::lock_guard lock(run->mutex);
    if (run->rows)
      std::copy(rows.begin(), rows.end(), run->rows + static_cast<size_t>(first) * vocabulary);
  };
}

llmrt_code run_to_end(llmrt_model &handle, RequestSpec spec, RowsRun &run, llmrt_error *error) {
  Result<RequestId> id = handle.model->engine->submit(std::move(spec));
  if (!id.ok())
    return report(id.status(), error);
  std::unique_lock lock(run.mutex);
  while (!run.done) {
    if (handle.thread) {
      run.changed.wait(lock);
      continue;
    }
    lock.unlock();
    Status status = handle.step();
    lock.lock();
    if (!status.ok()) {
      run.rows = nullptr;
      return report(status, error);
    }
  }
  return report(run.status, error);
}

llmrt_code too_small(size_t capacity, size_t count, size_t columns, llmrt_error *error) {
  return report(LLMRT_TOO_SMALL, "the buffer takes " + std::to_string(capacity) + " floats, " + std::to_string(count) +
                                     " x " + std::to_string(columns) + " are needed",
                error);
}

} // namespace

static_assert(int(Pooling::kMean) == LLMRT_POOL_MEAN && int(Pooling::kCls) == LLMRT_POOL_CLS &&
              int(Pooling::kLast) == LLMRT_POOL_LAST);

extern "C" llmrt_code llmrt_logits(llmrt_model *model, const int32_t *ids, size_t count, float *logits,
                                   size_t capacity, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !ids || !logits)
      return missing("model, ids and logits", error);
    size_t vocabulary = static_cast<size_t>(model->model->vocabulary);
    if (count > capacity / std::max<size_t>(vocabulary, 1))
      return too_small(capacity, count, vocabulary, error);
    auto run = std::make_shared<RowsRun>();
    run->rows = logits;
    RequestSpec spec = spec_for(ids, count, run);
    want_logits(*model, run, spec);
    return run_to_end(*model, std::move(spec), *run, error);
  });
}

extern "C" llmrt_code llmrt_embed(llmrt_model *model, const int32_t *ids, size_t count, int32_t pooling,
                                  int32_t normalized, float *embedding, size_t capacity, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !ids || !embedding)
      return missing("model, ids and embedding", error);
    if (pooling < LLMRT_POOL_MEAN || pooling > LLMRT_POOL_LAST)
      return report(LLMRT_INVALID_ARGUMENT, "pooling is not an llmrt_pooling", error);
    size_t width = static_cast<size_t>(model->model->engine->hidden_width());
    if (capacity < width)
      return too_small(capacity, 1, width, error);
    auto run = std::make_shared<RowsRun>();
    run->rows = embedding;
    RequestSpec spec = spec_for(ids, count, run);
    spec.pooling = static_cast<Pooling>(pooling);
    llmrt_code code = run_to_end(*model, std::move(spec), *run, error);
    if (code == LLMRT_OK && normalized)
      normalize({embedding, width});
    return code;
  });
}
