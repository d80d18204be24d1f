// The half of a pool that opens models and lets them go: one thread, one model at a time. Engines run on, and requests
// for other models are answered, whatever it does.
#include "runtime/base/log.h"
#include "runtime/server/model_pool_state.h"

#include <algorithm>
#include <exception>

namespace llmrt::server {

namespace {

constexpr size_t kStackBytes = 2 << 20; // opening an artifact parses its template

struct Running {
  OpenedModel opened;
  std::unique_ptr<EngineThread> thread; // goes before the model
};

// The file as it is now: what a link in the folder leads to may have changed since the folder was read.
Result<ModelSource> source_now(const ModelSource &source, const std::string &folder) {
  Result<std::vector<FolderModel>> found = list_models(folder);
  if (!found.ok())
    return found.status();
  for (const FolderModel &one : *found)
    if (one.name == source.name && one.problem.empty())
      return ModelSource{source.name, one.path, source.served_names};
    else if (one.name == source.name)
      return Status(StatusCode::kUnsupported, one.problem);
  return Status(StatusCode::kNotFound, source.name + ".fbs is no longer in " + folder);
}

Result<Running> open_model(const ModelPoolOptions &options, ModelSource source, bool from_folder, int64_t promised) {
  if (from_folder) {
    Result<ModelSource> now = source_now(source, options.folder);
    if (!now.ok())
      return now.status();
    source = std::move(*now);
  }
  try {
    Result<OpenedModel> opened = options.open(source, promised);
    if (!opened.ok())
      return opened.status();
    Running out;
    out.opened = std::move(*opened);
    Result<std::unique_ptr<EngineThread>> thread = EngineThread::start(*out.opened.model->engine);
    if (!thread.ok())
      return thread.status();
    out.thread = std::move(*thread);
    return out;
  } catch (const std::exception &error) {
    return Status(StatusCode::kExhausted, std::string("out of memory: ") + error.what());
  }
}

} // namespace

Status ModelPool::start(ModelPoolOptions options) {
  Lock lock(shared_->mutex);
  shared_->options = std::move(options);
  for (const ModelSource &source : shared_->options.files) {
    auto slot = std::make_shared<Slot>();
    slot->source = source;
    slot->names = source.served_names.empty() ? std::vector<std::string>{source.name} : source.served_names;
    shared_->slots.push_back(std::move(slot));
  }
  if (!shared_->options.folder.empty()) {
    Result<std::vector<FolderModel>> found = list_models(shared_->options.folder);
    if (!found.ok())
      return Status(StatusCode::kInvalidArgument, "--models-dir: " + found.status().message());
    merge(*found);
  }
  for (const auto &[name, problem] : shared_->problems)
    log(LogLevel::kWarning, "--models-dir: " + problem);
  const std::vector<SlotPtr> slots = shared_->slots;
  for (const SlotPtr &slot : slots)
    if (!slot->from_folder && !shared_->stopping)
      if (Status status = load_now(slot, lock); !status.ok())
        return status;
  Result<os::Thread> thread = os::Thread::start(kStackBytes, [this] { run(); });
  if (!thread.ok())
    return thread.status();
  thread_ = std::move(*thread);
  shared_->ready = true;
  return ok_status();
}

void ModelPool::run() {
  Lock lock(shared_->mutex);
  while (!shared_->stopping)
    if (!turn(lock)) {
      Clock::time_point next = next_turn();
      if (next == Clock::time_point::max())
        shared_->changed.wait(lock);
      else
        shared_->changed.wait_until(lock, next);
    }
}

// Does one thing; false: there is nothing to do before next_turn().
bool ModelPool::turn(Lock &lock) {
  const Clock::time_point now = Clock::now();
  const auto idle = std::chrono::duration<double>(shared_->options.idle_seconds);
  for (const SlotPtr &slot : std::vector<SlotPtr>(shared_->slots)) {
    bool going = slot->state == ModelState::kUnloading;
    bool unused = slot->state == ModelState::kLoaded && slot->thread && slot->leases == 0;
    if (slot->state == ModelState::kUnloaded && !slot->waiting.empty())
      (void)load_now(slot, lock).ok(); // those who wait are told
    else if (going && slot->leases == 0)
      finish_unload(slot, lock);
    else if (going && !slot->engine_stopped && now >= slot->stop_at)
      stop_engine(slot, lock);
    else if (unused && idle.count() > 0 && now - slot->last_used >= idle)
      begin_unload(*slot);
    else
      continue;
    return true;
  }
  return false;
}

ModelPool::Clock::time_point ModelPool::next_turn() const {
  Clock::time_point next = Clock::time_point::max();
  const auto idle = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(shared_->options.idle_seconds));
  for (const SlotPtr &slot : shared_->slots) {
    if (slot->state == ModelState::kUnloading && !slot->engine_stopped)
      next = std::min(next, slot->stop_at);
    if (slot->state == ModelState::kLoaded && slot->thread && slot->leases == 0 && idle.count() > 0)
      next = std::min(next, slot->last_used + idle);
  }
  return next;
}

Status ModelPool::load_now(const SlotPtr &slot, Lock &lock) {
  slot->state = ModelState::kLoading;
  int64_t promised = 0;
  for (const SlotPtr &other : shared_->slots)
    promised += other->opened.memory.private_bytes;
  lock.unlock();
  Result<Running> running = open_model(shared_->options, slot->source, slot->from_folder, promised);
  lock.lock();
  Status status = running.status();
  slot->state = status.ok() ? ModelState::kLoaded : ModelState::kUnloaded;
  slot->error = status.message();
  if (status.ok()) {
    slot->opened = std::move(running->opened);
    slot->thread = std::move(running->thread);
    const Model &model = *slot->opened.model;
    slot->served = {&model, &slot->metrics};
    slot->engine_stopped = false;
    slot->was_loaded = true;
    slot->max_model_len = model.engine->max_model_len();
    slot->vocabulary = model.vocabulary;
    slot->created = model.created;
    slot->page_tokens = model.page_tokens;
    slot->cache_dtype = model.kv_cache_dtype;
    slot->last_used = Clock::now();
  }
  auto waiting = std::exchange(slot->waiting, {});
  std::vector<ModelLease> leases;
  for (size_t i = 0; status.ok() && i < waiting.size(); ++i)
    leases.push_back(lease(slot, true));
  auto unloading = status.ok() ? std::vector<std::function<void(Status)>>() : std::exchange(slot->unloading, {});
  if (!slot->unloading.empty())
    begin_unload(*slot);
  lock.unlock();
  const Status told = status.ok() ? status
                                  : Status(status.code(), "the model `" + slot->names.front() +
                                                              "` could not be loaded: " + status.message());
  for (size_t i = 0; i < waiting.size(); ++i)
    waiting[i](status.ok() ? Result<ModelLease>(std::move(leases[i])) : Result<ModelLease>(told));
  for (auto &done : unloading)
    done(told);
  waiting.clear(); // what they hold on to must not go under the lock
  lock.lock();
  return status;
}

void ModelPool::begin_unload(Slot &slot) {
  slot.state = ModelState::kUnloading;
  slot.stop_at = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(shared_->options.unload_seconds));
  shared_->changed.notify_all();
}

// In this order: nothing may outlive what it refers to.
void ModelPool::close(Slot &slot) {
  slot.thread.reset();
  slot.opened.companion.reset();
  slot.opened.model.reset();
}

// Running requests get a "cancelled" and give their leases back.
void ModelPool::stop_engine(const SlotPtr &slot, Lock &lock) {
  slot->engine_stopped = true;
  lock.unlock();
  (void)slot->thread->stop(false).ok(); // nobody else touches the thread of a model that is being unloaded
  lock.lock();
}

void ModelPool::finish_unload(const SlotPtr &slot, Lock &lock) {
  stop_engine(slot, lock);
  lock.unlock();
  const EngineStats stats = slot->opened.model->engine->stats();
  lock.lock();
  if (slot->leases > 0) // somebody looks at its figures: the next turn
    return;
  add_counters(slot->before, stats);
  slot->served.model = nullptr;
  lock.unlock();
  close(*slot);
  lock.lock();
  slot->opened.memory = {};
  slot->state = ModelState::kUnloaded;
  auto unloading = std::exchange(slot->unloading, {});
  lock.unlock();
  for (auto &done : unloading)
    done(ok_status());
  unloading.clear();
  lock.lock();
}

Status ModelPool::failure() {
  std::lock_guard lock(shared_->mutex);
  for (const SlotPtr &slot : shared_->slots)
    if (slot->state == ModelState::kLoaded && slot->thread && !slot->thread->running()) {
      Status status = slot->thread->stop(false);
      std::string what = status.ok() ? "the engine stopped by itself" : status.message();
      return Status(StatusCode::kInternal, "the model `" + slot->names.front() + "`: " + what);
    }
  return ok_status();
}

void ModelPool::drain() {
  std::vector<std::function<void(Result<ModelLease>)>> waiting;
  {
    std::lock_guard lock(shared_->mutex);
    shared_->draining = true;
    for (const SlotPtr &slot : shared_->slots)
      for (auto &then : std::exchange(slot->waiting, {}))
        waiting.push_back(std::move(then));
  }
  for (auto &then : waiting)
    then(Status(StatusCode::kCancelled, "no model is loaded any more"));
}

void ModelPool::stop() {
  drain();
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_all();
  }
  thread_.join();
  for (const SlotPtr &slot : shared_->slots) { // nobody else is left who changes them
    if (slot->opened.model)
      slot->served.model = nullptr;
    close(*slot); // without the mutex: an engine that ends gives leases back
    std::vector<std::function<void(Status)>> unloading;
    {
      std::lock_guard lock(shared_->mutex); // the engine of an adopted model goes on, and gives leases back later
      slot->state = ModelState::kUnloaded;
      unloading = std::exchange(slot->unloading, {});
    }
    for (auto &done : unloading)
      done(Status(StatusCode::kCancelled, "the server ends"));
  }
}

} // namespace llmrt::server
