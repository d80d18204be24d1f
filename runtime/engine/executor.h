// Turns a plan into a step block and runs it. Decides nothing.
#pragma once

#include "runtime/base/status.h"
#include "runtime/device/device.h"
#include "runtime/engine/scheduler.h"
#include "runtime/kv/kv_cache.h"

#include <array>
#include <cstdint>
#include <vector>

namespace llmrt {

class Executor {
public:
  // Both must outlive the executor; the device is prepared for `limits`.
  Executor(Device &device, const KvCache &cache, const Limits &limits);

  // Copies the pages the plan asks for, fills the step block and runs. Afterwards output row i of the device is row i
  // of the plan.
  Status run(const StepPlan &plan);

private:
  void fill(const StepPlan &plan, const StepBlock &block);
  void fill_page_table(int group, int64_t sequence, int slot, const StepBlock &block);

  Device &device_;
  const KvCache &cache_;
  int64_t candidates_; // that the device gives of a row
  // A group's row of the step block: entries that may be other than 0. Tables are long and mostly empty.
  std::array<std::vector<int64_t>, kMaxCacheGroups> filled_;
};

} // namespace llmrt
