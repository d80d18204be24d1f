#include "runtime/device/cpu/limits.h"

#include "runtime/base/os.h"
#include "runtime/device/cpu/limits_simd.h"
#include "runtime/device/cpu/thread_pool.h"

#include <algorithm>
#include <cstring>

namespace llmrt {

namespace {

struct ReadJob {
  const std::byte *data;
  size_t part; // bytes of an item
  std::atomic<uint64_t> sum = 0;
};

void read_part(void *context, int, int64_t begin, int64_t end) {
  ReadJob &job = *static_cast<ReadJob *>(context);
  for (int64_t item = begin; item < end; ++item)
    job.sum.fetch_add(read_all(job.data + size_t(item) * job.part, job.part), std::memory_order_relaxed);
}

struct DotJob {
  DotLoop loop;
  int64_t rounds;
  std::atomic<int64_t> sum = 0;
};

void dot_part(void *context, int, int64_t begin, int64_t end) {
  DotJob &job = *static_cast<DotJob *>(context);
  for (int64_t item = begin; item < end; ++item)
    job.sum.fetch_add(job.loop.run(job.rounds), std::memory_order_relaxed);
}

} // namespace

Result<double> measure_read_gbps(int threads, std::span<const std::byte> data) {
  constexpr size_t kPart = size_t(1) << 20;
  constexpr int kPasses = 6;
  if (data.size() < kPart)
    return Status(StatusCode::kInvalidArgument, "to measure reads, at least one MiB is needed");
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool)
    return pool.status();
  ReadJob job{data.data(), kPart};
  const int64_t parts = int64_t(data.size() / kPart);
  uint64_t best = UINT64_MAX;
  for (int pass = 0; pass < kPasses; ++pass) {
    uint64_t before = os::monotonic_ns();
    (*pool)->run(parts, 1, read_part, &job);
    best = std::min(best, os::monotonic_ns() - before);
  }
  return double(parts) * double(kPart) / double(std::max<uint64_t>(best, 1));
}

Result<double> measure_read_gbps(int threads) {
  constexpr size_t kLargest = size_t(512) << 20, kSmallest = size_t(64) << 20, kUnit = size_t(1) << 20;
  size_t bytes = std::clamp(size_t(os::available_memory() / 4), kSmallest, kLargest) / kUnit * kUnit;
  Result<os::Mapping> memory = os::map_memory(bytes, true);
  if (!memory)
    return memory.status();
  std::memset(memory->data(), 1, bytes); // untouched pages would all be the same zeros
  return measure_read_gbps(threads, memory->view());
}

Result<double> measure_dot_gops(int threads, uint64_t features) {
  constexpr int kPasses = 4, kItemsPerThread = 16;
  DotJob job{best_dot_loop(features), 20000};
  if (!job.loop.run)
    return 0.0;
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool)
    return pool.status();
  int64_t items = int64_t(threads) * kItemsPerThread;
  uint64_t best = UINT64_MAX;
  for (int pass = 0; pass < kPasses; ++pass) {
    uint64_t before = os::monotonic_ns();
    (*pool)->run(items, 1, dot_part, &job);
    best = std::min(best, os::monotonic_ns() - before);
  }
  return double(items * job.rounds * job.loop.operations) / double(std::max<uint64_t>(best, 1));
}

} // namespace llmrt
