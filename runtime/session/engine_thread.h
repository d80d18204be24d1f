// The one thread that runs an engine's steps.
#pragma once

#include "runtime/base/os.h"
#include "runtime/engine/engine.h"

#include <atomic>
#include <memory>

namespace llmrt {

class EngineThread {
public:
  static Result<std::unique_ptr<EngineThread>> start(Engine &engine);
  ~EngineThread(); // stops without draining if still running
  EngineThread(const EngineThread &) = delete;
  EngineThread &operator=(const EngineThread &) = delete;

  // Ends the thread; `drain`: running and waiting requests finish first. Returns what Engine::run() returned, or
  // what Engine::check_integrity() says then.
  Status stop(bool drain);
  // False once the engine has ended by itself, which only a failing device makes it do.
  bool running() const { return running_.load(std::memory_order_acquire); }

private:
  explicit EngineThread(Engine &engine) : engine_(engine) {}

  Engine &engine_;
  std::atomic<bool> running_{true};
  Status status_; // written by the thread before it ends
  bool joined_ = false;
  os::Thread thread_;
};

} // namespace llmrt
