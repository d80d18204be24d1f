#include "runtime/device/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace llmrt {
namespace {

struct Marks {
  explicit Marks(int64_t items) : counts(size_t(items)) {}
  std::vector<std::atomic<int>> counts;
  std::atomic<int64_t> smallest_piece = INT64_MAX;
  std::atomic<int> largest_thread = 0;
  int64_t items() const { return int64_t(counts.size()); }
};

void mark(void *context, int thread, int64_t begin, int64_t end) {
  Marks &marks = *static_cast<Marks *>(context);
  for (int64_t i = begin; i < end; ++i)
    marks.counts[size_t(i)].fetch_add(1, std::memory_order_relaxed);
  if (end != marks.items())
    marks.smallest_piece = std::min(marks.smallest_piece.load(), end - begin);
  marks.largest_thread = std::max(marks.largest_thread.load(), thread);
}

TEST(ThreadPool, RunsEveryItemOnce) {
  for (int threads : {1, 2, 3, 8}) {
    auto pool = ThreadPool::create(threads);
    ASSERT_TRUE(pool);
    EXPECT_EQ((*pool)->threads(), threads);
    for (int64_t items : {0, 1, 2, 7, 64, 1000, 100000}) {
      for (int64_t grain : {1, 3, 50, 1000000}) {
        Marks marks(items);
        (*pool)->run(items, grain, mark, &marks);
        EXPECT_TRUE(std::all_of(marks.counts.begin(), marks.counts.end(), [](auto &count) { return count == 1; }))
            << threads << " threads, " << items << " items";
        EXPECT_GE(marks.smallest_piece, std::min(grain, items));
        EXPECT_LT(marks.largest_thread, threads);
      }
    }
  }
}

// What one run writes is seen by the next, whoever runs it; many short runs in a row, where workers are late.
TEST(ThreadPool, RunsFollowEachOther) {
  auto pool = ThreadPool::create(4);
  ASSERT_TRUE(pool);
  std::vector<int64_t> values(37, 0); // plain memory: the order of runs is what protects it
  auto add_neighbour = [](void *context, int, int64_t begin, int64_t end) {
    auto &all = *static_cast<std::vector<int64_t> *>(context);
    for (int64_t i = begin; i < end; ++i)
      all[size_t(i)] += 1;
  };
  auto check = [](void *context, int, int64_t begin, int64_t end) {
    auto &all = *static_cast<std::vector<int64_t> *>(context);
    for (int64_t i = begin; i < end; ++i)
      if (all[size_t(i)] != all[all.size() - 1 - size_t(i)])
        std::abort();
  };
  for (int round = 0; round < 3000; ++round) {
    (*pool)->run(37, 1, add_neighbour, &values);
    (*pool)->run(37, 1, check, &values);
  }
  EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 3000; }));
}

TEST(ThreadPool, WakesSleepers) {
  auto pool = ThreadPool::create(2);
  ASSERT_TRUE(pool);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 4)); // long enough to fall asleep, sometimes
    Marks marks(64);
    (*pool)->run(64, 1, mark, &marks);
    EXPECT_TRUE(std::all_of(marks.counts.begin(), marks.counts.end(), [](auto &count) { return count == 1; }));
  }
}

TEST(ThreadPool, RefusesSillyCounts) {
  for (int threads : {0, -1, kMaxThreads + 1}) {
    auto pool = ThreadPool::create(threads);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.status().code(), StatusCode::kInvalidArgument);
  }
}

} // namespace
} // namespace llmrt
