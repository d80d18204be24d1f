// What stands behind the C API's handles.
#pragma once

#include "runtime/include/llmrt.h"
#include "runtime/session/engine_thread.h"
#include "runtime/session/model.h"
#include "runtime/session/text_stream.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

struct llmrt_model {
  std::unique_ptr<llmrt::Model> model;
  std::unique_ptr<llmrt::EngineThread> thread; // null with manual_steps
  std::atomic<uint64_t> logits_runs{0};
  llmrt::Status step();                        // runs one step; kUnsupported where a thread does
};

namespace llmrt::capi {

struct PendingEvent {
  llmrt_event_type type = LLMRT_EVENT_NONE;
  int32_t token = 0;
  float logprob = 0;
  std::string text;
  llmrt_finish_reason reason = LLMRT_FINISH_NONE;
};

// Shared by the caller's handle and the engine's sink, whichever lives longer.
struct RequestState {
  RequestState(const Tokenizer *tokenizer, const TextOptions &options) : text(tokenizer, options) {}

  std::mutex mutex;
  std::condition_variable changed;
  TextStream text;
  std::deque<PendingEvent> events;
  bool finished = false;
  std::string error;
  int64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0;
};

llmrt_code code_of(StatusCode code);
// Fills `error`, which may be null, and gives the code.
llmrt_code report(const Status &status, llmrt_error *error);
llmrt_code report(llmrt_code code, std::string_view message, llmrt_error *error);

// LLMRT_INVALID_ARGUMENT: pointers that the call needs and got as NULL; a struct that does not say its size.
llmrt_code missing(const char *names, llmrt_error *error);
llmrt_code unsized(const char *name, llmrt_error *error);

inline constexpr size_t kLargestStruct = 1 << 20; // more is a size that was never set

// Copies as much of a caller's struct as both sides know; the rest keeps its defaults. False: its size is nonsense.
template <typename T> bool read_struct(const T *from, T *to) {
  if (!from)
    return true;
  const size_t size = from->size;
  if (size < sizeof(size_t) || size > kLargestStruct)
    return false;
  const size_t known = std::min(size, sizeof(T));
  std::memcpy(static_cast<void *>(to), from, known);
  return true;
}

// The other way round; the caller's size stays.
template <typename T> bool write_struct(const T &from, T *to) {
  const size_t size = to ? to->size : 0;
  if (size < sizeof(size_t) || size > kLargestStruct)
    return false;
  const size_t known = std::min(size, sizeof(T));
  std::memcpy(static_cast<void *>(to), &from, known);
  to->size = size;
  return true;
}

// Nothing is thrown out of the library: runs `body`, and turns what it throws (memory) into a code.
template <typename Body> llmrt_code guarded(llmrt_error *error, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return report(LLMRT_EXHAUSTED, "out of memory", error);
  } catch (const std::exception &thrown) {
    return report(LLMRT_INTERNAL, thrown.what(), error);
  }
}

} // namespace llmrt::capi

struct llmrt_request {
  llmrt_model *model = nullptr;
  llmrt::RequestId id = 0;
  std::shared_ptr<llmrt::capi::RequestState> state;
  std::string shown_text; // what the last event's text points to
};
