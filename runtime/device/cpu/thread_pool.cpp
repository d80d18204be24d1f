#include "runtime/device/cpu/thread_pool.h"

#include <algorithm>
#include <string>

namespace llmrt {

namespace {

// Enough pieces that a thread that was interrupted holds up little, few enough that taking them costs nothing.
constexpr int64_t kPiecesPerThread = 16;
constexpr int64_t kMaxPieces = 1 << 20;
constexpr int kSpins = 2000; // some ten microseconds of pauses

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

// Where the pieces of a range begin.
int64_t first_piece(int64_t pieces, int range, int ranges) { return pieces * range / ranges; }

bool has_pieces(uint64_t ticket) { return uint32_t(ticket) < uint32_t(ticket >> 32); }

} // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int threads) {
  if (threads < 1 || threads > kMaxThreads)
    return Status(StatusCode::kInvalidArgument, std::to_string(threads) + " threads; 1 to " +
                                                    std::to_string(kMaxThreads) + " can be used");
  std::unique_ptr<ThreadPool> pool(new ThreadPool);
  pool->ranges_ = std::make_unique<Range[]>(size_t(threads));
  pool->range_count_ = threads;
  // With fewer processors than threads, looking for work takes time from who does it.
  pool->spins_ = threads <= os::usable_cpus() ? kSpins : 0;
  for (int thread = 1; thread < threads; ++thread) {
    auto body = [pool = pool.get(), thread] { pool->work_until_stopped(thread); };
    Result<os::Thread> worker = os::Thread::start(kThreadStackBytes, body);
    if (!worker)
      return worker.status();
    pool->workers_.push_back(*std::move(worker));
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_seq_cst);
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  os::wake(epoch_, kMaxThreads);
  for (os::Thread &worker : workers_)
    worker.join();
}

void ThreadPool::run(int64_t items, int64_t grain, Work work, void *context) {
  if (items <= 0)
    return;
  int64_t piece = std::max({grain, (items + threads() * kPiecesPerThread - 1) / (threads() * kPiecesPerThread),
                            (items + kMaxPieces - 1) / kMaxPieces});
  int64_t pieces = items / piece + (items % piece != 0);
  if (pieces == 1 || workers_.empty()) {
    work(context, 0, 0, items);
    return;
  }
  job_ = {work, context, items, piece, pieces};
  done_.store(0, std::memory_order_relaxed);
  for (int range = 0; range < range_count_; ++range) {
    uint64_t count = uint64_t(first_piece(pieces, range + 1, range_count_) - first_piece(pieces, range, range_count_));
    ranges_[size_t(range)].ticket.store(count << 32, std::memory_order_release);
  }
  // A worker counts itself among the sleepers before it looks at the epoch again: one of the two sees the other.
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  if (int sleepers = sleepers_.load(std::memory_order_seq_cst); sleepers > 0)
    os::wake(epoch_, int(std::min<int64_t>(sleepers, pieces - 1)));
  take_pieces(0);
  wait_for_pieces(uint32_t(pieces));
}

void ThreadPool::take_pieces(int thread) {
  for (int i = 0, range = thread; i < range_count_; ++i, range = range + 1 == range_count_ ? 0 : range + 1)
    take_pieces_of(range, thread);
}

void ThreadPool::take_pieces_of(int range, int thread) {
  std::atomic<uint64_t> &counter = ranges_[size_t(range)].ticket;
  while (has_pieces(counter.load(std::memory_order_relaxed))) {
    // At most one addition too many by each thread and job: the lower half never reaches the upper.
    uint64_t ticket = counter.fetch_add(1, std::memory_order_acquire);
    if (!has_pieces(ticket))
      return;
    // Whoever holds a piece keeps the job from changing.
    const Job job = job_;
    int64_t begin = (first_piece(job.pieces, range, range_count_) + int64_t(uint32_t(ticket))) * job.piece;
    job.work(job.context, thread, begin, std::min(begin + job.piece, job.items));
    if (done_.fetch_add(1, std::memory_order_seq_cst) + 1 == uint32_t(job.pieces) &&
        caller_sleeps_.load(std::memory_order_seq_cst) != 0)
      os::wake(done_, 1);
  }
}

bool ThreadPool::any_pieces() const {
  for (int range = 0; range < range_count_; ++range)
    if (has_pieces(ranges_[size_t(range)].ticket.load(std::memory_order_relaxed)))
      return true;
  return false;
}

void ThreadPool::wait_for_pieces(uint32_t pieces) {
  for (int spin = 0; spin < spins_; ++spin) {
    if (done_.load(std::memory_order_acquire) == pieces)
      return;
    pause_briefly();
  }
  caller_sleeps_.store(1, std::memory_order_seq_cst);
  for (uint32_t done; (done = done_.load(std::memory_order_seq_cst)) != pieces;)
    os::wait_on(done_, done);
  caller_sleeps_.store(0, std::memory_order_relaxed);
}

void ThreadPool::wait_for_work() {
  uint32_t seen = epoch_.load(std::memory_order_acquire);
  for (int spin = 0; spin <= spins_; ++spin) {
    if (epoch_.load(std::memory_order_relaxed) != seen || any_pieces() || stop_.load(std::memory_order_relaxed))
      return;
    pause_briefly();
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  os::wait_on(epoch_, seen);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadPool::work_until_stopped(int thread) {
  while (!stop_.load(std::memory_order_acquire)) {
    take_pieces(thread);
    wait_for_work();
  }
}

} // namespace llmrt
