#include "runtime/session/engine_thread.h"

#include "runtime/base/log.h"

namespace llmrt {

static constexpr size_t kStackBytes = 512 << 10;

Result<std::unique_ptr<EngineThread>> EngineThread::start(Engine &engine) {
  std::unique_ptr<EngineThread> out(new EngineThread(engine));
  EngineThread *self = out.get();
  Result<os::Thread> thread = os::Thread::start(kStackBytes, [self] {
    self->status_ = self->engine_.run();
    self->running_.store(false, std::memory_order_release);
  });
  if (!thread.ok()) {
    out->joined_ = true;
    return thread.status();
  }
  out->thread_ = std::move(*thread);
  return out;
}

EngineThread::~EngineThread() { (void)stop(false).ok(); }

Status EngineThread::stop(bool drain) {
  if (joined_)
    return status_;
  engine_.stop(drain);
  thread_.join();
  joined_ = true;
  if (status_.ok()) {
    status_ = engine_.check_integrity(); // all requests have ended: every page is back
    if (!status_.ok())
      log(LogLevel::kError, "the KV pages at the end: " + status_.message());
  }
  return status_;
}

} // namespace llmrt
