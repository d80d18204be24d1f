#include "compiler/emit/WeightWriter.h"

#include "compiler/emit/WeightPacker.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

namespace llmc {
namespace {

constexpr uint64_t kChunkBytes = uint64_t(1) << 20;
constexpr uint64_t kTaskBytes = uint64_t(2) << 20; // of output; a block may be larger

// Some blocks of one weight.
struct Task {
  const PlannedWeight *weight;
  int64_t firstBlock, blockCount;
};

struct Chunk {
  uint64_t index = 0;
  std::vector<char> bytes;
};

// Tasks are packed in any order and appended in theirs: a thread packs one, waits for its turn, appends, and hashes
// and writes the chunks that this filled. So there are never more buffers than threads.
class Writer {
public:
  Writer(const WeightPlan &plan, const TensorSource &tensors, const SegmentSink &sink,
         const WeightWriterOptions &options)
      : plan(plan), tensors(tensors), sink(sink), options(options) {
    for (const PlannedWeight &weight : plan.weights) addTasks(weight);
    hashes.chunks.resize((plan.bytes + kChunkBytes - 1) / kChunkBytes);
  }

  llvm::Expected<SegmentHashes> run() {
    std::vector<std::thread> pool;
    for (int i = 1; i < threadCount(); ++i) pool.emplace_back([this] { work(); });
    work();
    for (std::thread &thread : pool) thread.join();
    std::vector<Chunk> last;
    if (!failed && !current.bytes.empty()) last.push_back(std::move(current));
    finish(last);
    if (failed) return std::move(error);
    hashes.whole = whole.finish();
    return std::move(hashes);
  }

private:
  void addTasks(const PlannedWeight &weight) {
    int64_t blocks = std::max<int64_t>(1, int64_t(kTaskBytes) / weight.blockBytes);
    for (int64_t first = 0; first < weight.blocks; first += blocks)
      tasks.push_back({&weight, first, std::min(blocks, weight.blocks - first)});
  }

  int threadCount() const {
    uint64_t perThread = 1;
    for (const PlannedWeight &weight : plan.weights) {
      uint64_t rows = uint64_t(weight.isVector() ? 1 : weight.columns) * 16 * sizeof(float);
      perThread = std::max(perThread, rows + 2 * std::max(kTaskBytes, uint64_t(weight.blockBytes)) + 2 * kChunkBytes);
    }
    uint64_t affordable = std::max<uint64_t>(1, options.memoryBudget / perThread);
    return int(std::clamp<uint64_t>(std::min<uint64_t>(affordable, tasks.size()), 1, std::max(1, options.threads)));
  }

  void work() {
    std::vector<float> rows;
    std::vector<char> packed;
    std::vector<Chunk> full;
    for (size_t index = next++; index < tasks.size() && !failed; index = next++) {
      const Task &task = tasks[index];
      packed.resize(size_t(task.blockCount * task.weight->blockBytes));
      llvm::Error problem = packBlocks(*task.weight, tensors, task.firstBlock, task.blockCount, rows, packed);
      if (problem) return fail(std::move(problem));
      {
        std::unique_lock lock(mutex);
        turnChanged.wait(lock, [&] { return turn == index || failed; });
        if (failed) return;
        append(task, packed, full);
        ++turn;
      }
      turnChanged.notify_all();
      finish(full);
    }
  }

  void append(const Task &task, llvm::ArrayRef<char> bytes, std::vector<Chunk> &full) {
    if (task.firstBlock == 0) {
      std::vector<char> padding(size_t(task.weight->offset - position));
      add(padding, full);
    }
    add(bytes, full);
    if (options.progress) options.progress(task.weight->name, position);
  }

  void add(llvm::ArrayRef<char> bytes, std::vector<Chunk> &full) {
    whole.update(std::as_bytes(std::span(bytes.data(), bytes.size())));
    position += bytes.size();
    while (!bytes.empty()) {
      if (current.bytes.empty()) current.bytes.reserve(kChunkBytes);
      size_t count = std::min<size_t>(bytes.size(), kChunkBytes - current.bytes.size());
      current.bytes.insert(current.bytes.end(), bytes.begin(), bytes.begin() + count);
      bytes = bytes.drop_front(count);
      if (current.bytes.size() < kChunkBytes) continue;
      full.push_back(std::move(current));
      current = {full.back().index + 1, {}};
    }
  }

  void finish(std::vector<Chunk> &full) {
    for (const Chunk &chunk : full) {
      hashes.chunks[chunk.index] = llmrt::sha256(std::as_bytes(std::span(chunk.bytes)));
      if (llvm::Error problem = sink(chunk.index * kChunkBytes, chunk.bytes)) return fail(std::move(problem));
    }
    full.clear();
  }

  // The first failure is the one that is reported.
  void fail(llvm::Error problem) {
    {
      std::lock_guard lock(mutex);
      if (!failed) error = std::move(problem);
      else llvm::consumeError(std::move(problem));
      failed = true;
    }
    turnChanged.notify_all();
  }

  const WeightPlan &plan;
  const TensorSource &tensors;
  const SegmentSink &sink;
  const WeightWriterOptions &options;
  std::vector<Task> tasks;
  std::atomic<size_t> next = 0;

  std::mutex mutex;
  std::condition_variable turnChanged;
  std::atomic<bool> failed = false;
  // Under the mutex:
  size_t turn = 0;       // the task that is appended next
  uint64_t position = 0; // bytes appended
  Chunk current;
  llmrt::Sha256 whole;
  llvm::Error error = llvm::Error::success();

  SegmentHashes hashes; // chunks: each written by the thread that filled it
};

} // namespace

llvm::Expected<SegmentHashes> writeWeights(const WeightPlan &plan, const TensorSource &tensors, const SegmentSink &sink,
                                           const WeightWriterOptions &options) {
  return Writer(plan, tensors, sink, options).run();
}

} // namespace llmc
