// Checks a served artifact's weights against their hashes while requests are answered.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/os.h"

#include <condition_variable>
#include <mutex>

namespace llmrt::tool {

// Slow on purpose: it shares the memory's bandwidth with the engine. Damage is said on stderr once; the destructor
// ends the check.
class WeightCheck {
public:
  WeightCheck(const Artifact &artifact, bool wanted);
  ~WeightCheck();
  WeightCheck(const WeightCheck &) = delete;
  WeightCheck &operator=(const WeightCheck &) = delete;

private:
  bool pause(); // false: it is time to end

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  os::Thread thread_;
};

} // namespace llmrt::tool
