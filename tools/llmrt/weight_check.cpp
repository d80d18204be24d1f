#include "tools/llmrt/weight_check.h"

#include <chrono>
#include <cstdio>

namespace llmrt::tool {

static constexpr size_t kStackBytes = 256 << 10;
static constexpr std::chrono::milliseconds kPause(10); // before each MiB

WeightCheck::WeightCheck(const Artifact &artifact, bool wanted) {
  if (!wanted)
    return;
  Result<os::Thread> thread = os::Thread::start(kStackBytes, [this, &artifact] {
    Status status = verify_weights(artifact, false, [this](uint64_t, uint64_t) { return pause(); });
    if (!status.ok() && status.code() != StatusCode::kCancelled)
      fprintf(stderr, "llmrt: THE WEIGHTS ARE DAMAGED: %s\n", status.message().c_str());
  });
  if (thread.ok())
    thread_ = std::move(*thread);
  else
    fprintf(stderr, "llmrt: the weights are not checked: %s\n", thread.status().message().c_str());
}

WeightCheck::~WeightCheck() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool WeightCheck::pause() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPause, [this] { return ending_; });
  return !ending_;
}

} // namespace llmrt::tool
