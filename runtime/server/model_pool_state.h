// What a pool's two halves share: model_pool.cpp answers requests, model_keeper.cpp loads and unloads.
#pragma once

#include "runtime/server/model_pool.h"

#include <condition_variable>
#include <map>

namespace llmrt::server {

struct ModelPool::Slot {
  ModelSource source;
  bool from_folder = false, was_loaded = false;
  std::vector<std::string> names; // never empty
  ModelState state = ModelState::kUnloaded;
  std::string error;
  int64_t max_model_len = 0, vocabulary = 0, created = 0, page_tokens = 0;
  std::string cache_dtype;

  // Of the loading that is. `opened` and `thread` are empty in a model that was adopted.
  OpenedModel opened;
  std::unique_ptr<EngineThread> thread;
  ServedModel served;
  bool engine_stopped = false;
  Clock::time_point last_used{}, stop_at{};

  ModelMetrics metrics;
  EngineStats before; // counters of the engines that have gone
  int leases = 0;
  std::vector<std::function<void(Result<ModelLease>)>> waiting;
  std::vector<std::function<void(Status)>> unloading;
};

struct ModelPool::Shared {
  std::mutex mutex; // of everything here; no call of an engine is made under it
  std::condition_variable changed;
  std::vector<SlotPtr> slots; // the files in their order, then the folder's by name
  std::map<std::string, std::string> problems; // of files in the folder, by model name
  ModelPoolOptions options;
  bool ready = false, draining = false, stopping = false;
};

// Counters of `from` on top of those of `to`; gauges stay.
void add_counters(EngineStats &to, const EngineStats &from);

} // namespace llmrt::server
