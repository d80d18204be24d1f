// Threads that share the work items of one dispatch after the other.
#pragma once

#include "runtime/base/os.h"
#include "runtime/base/status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace llmrt {

inline constexpr size_t kThreadStackBytes = 256 << 10;
inline constexpr int kMaxThreads = 1024;

// One thread, the caller of run(), hands out work; all take pieces of it. Each thread begins with a range of its own, so
// that it reads memory in order and the same part of it every time, and then helps with the others' ranges. A thread
// that has nothing to do looks for work for some ten microseconds and then sleeps; nobody waits for a thread that has
// taken no piece.
class ThreadPool {
public:
  // Called for items [begin, end) on thread 0 (the caller) to threads-1.
  using Work = void (*)(void *context, int thread, int64_t begin, int64_t end);

  // `threads` includes the caller of run(): threads - 1 are started.
  static Result<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();

  int threads() const { return range_count_; }

  // Runs all items, in pieces of at least `grain` (the last may be smaller), and returns when they are done. What is
  // written before it is seen by every piece, and what pieces write is seen after it. Takes no memory. Not reentrant.
  void run(int64_t items, int64_t grain, Work work, void *context);

private:
  struct Job {
    Work work = nullptr;
    void *context = nullptr;
    int64_t items = 0, piece = 1, pieces = 0;
  };
  // pieces << 32 | next piece. Taking a piece is adding 1: a thread that read the job before may so take a piece of
  // this one, which is as good.
  struct alignas(64) Range {
    std::atomic<uint64_t> ticket = 0;
  };

  ThreadPool() = default;
  void work_until_stopped(int thread);
  void take_pieces(int thread);
  void take_pieces_of(int range, int thread);
  bool any_pieces() const;
  void wait_for_work();
  void wait_for_pieces(uint32_t pieces);

  std::vector<os::Thread> workers_;
  int spins_ = 0;
  // Written while no piece of the job before is left, read by those who hold a piece.
  Job job_;

  std::unique_ptr<Range[]> ranges_; // one a thread
  int range_count_ = 0;
  alignas(64) std::atomic<uint32_t> done_ = 0;  // pieces
  std::atomic<uint32_t> caller_sleeps_ = 0;
  alignas(64) std::atomic<uint32_t> epoch_ = 0; // rises with each job; what workers sleep on
  std::atomic<int> sleepers_ = 0;
  std::atomic<bool> stop_ = false;
};

} // namespace llmrt
