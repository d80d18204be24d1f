// The attention kernels as llmc generates them, each alone: bytes of keys and values a second (one row), operations a
// second (512 rows), and their share of the read or of the peak of the instruction that is used. "parts": one row in
// parts, attention_combine included (which here may put together what the run before left: its time is the same).
// BENCH_TIER forces a tier.
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/limits.h"
#include "test/conformance/KernelHarness.h"
#include "tools/bench/KernelBench.h"

#include <benchmark/benchmark.h>

#include <algorithm>

namespace llmc::bench {
namespace {

using conformance::ceilDiv;
using conformance::Kernel;

struct Case {
  const char *element;
  int64_t heads, kvHeads, dim, rows, depth; // depth: keys before the first row
  int64_t parts;                            // of a row's segments; 0: the row is one item
};

constexpr int64_t kSplitRows = 4;

// One attention with everything it reads: page tables in random order over a pool that no cache holds.
struct Attention {
  Attention(const Case &c)
      : test(c), kernel(conformance::cachedKernel(text(c), tier())), blocks(ceilDiv(c.depth + c.rows, 16)),
        copies(c.rows > 1 ? 1 : std::max<int64_t>(1, kBeyondCaches / (blocks * pageBytes()))), pages(copies * blocks),
        query(c.rows * width() * 4), positions(c.rows * 4), sequence(c.rows * 4), table(pages * 4),
        pool(pages * pageBytes()), out(c.rows * width() * 4), segments(kSplitRows * headBlocks() * blocks * recordBytes() / 16),
        last(kSplitRows * headBlocks() * recordBytes()) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::generate_n(query.as<float>(), c.rows * width(), [&] { return uniform(generator); });
    for (int64_t i = 0; i < c.rows; ++i) positions.as<int32_t>()[i] = int32_t(c.depth + i);
    for (int64_t i = 0; i < pages; ++i) table.as<int32_t>()[i] = int32_t(i);
    std::shuffle(table.as<int32_t>(), table.as<int32_t>() + pages, generator);
    fillPool();
    scalars = {c.rows, c.heads, c.kvHeads, c.heads / c.kvHeads, c.dim, c.dim, c.dim, width(), width(), 1, blocks, pages};
    if (c.parts == 0) return;
    scalars.push_back(headBlocks());
    combine = &conformance::cachedKernel("exec.kernel @k \"attention_combine\" {window = 0 : i64, sinks = false, "
                                         "split_rows = 4 : i64}", tier());
    combineScalars = {c.rows, c.heads, headBlocks(), c.dim, c.dim, width(), blocks};
  }
  int64_t headBlocks() const { return ceilDiv(test.heads, 16); }
  int64_t recordBytes() const { return 64 * test.dim + 128; }
  int64_t width() const { return test.heads * test.dim; }
  int64_t bytes() const { return test.element == std::string("f32") ? 4 : test.element == std::string("int8") ? 1 : 2; }
  int64_t pageBytes() const {
    int64_t scales = test.element == std::string("int8") ? 2 * 16 * 4 : 0;
    return test.kvHeads * (32 * test.dim * bytes() + scales);
  }
  // Numbers near 1 in every type.
  void fillPool() {
    uint32_t one = 0x3f800000, halves = 0x3c003c00, brains = 0x3f803f80;
    uint32_t word = bytes() != 2 ? one : test.element == std::string("f16") ? halves : brains;
    std::fill_n(pool.as<uint32_t>(), pool.bytes / 4, word);
  }
  // Each pass takes other pages.
  std::vector<void *> operands(int64_t pass) {
    std::vector<void *> all = {query.data, positions.data, sequence.data, table.as<int32_t>() + pass % copies * blocks,
                               pool.data, out.data};
    if (test.parts) all.insert(all.end(), {segments.data, last.data});
    return all;
  }
  std::vector<void *> combineOperands() { return {positions.data, segments.data, last.data, out.data}; }
  static std::string text(const Case &c) {
    std::string split = c.parts ? ", parts = " + std::to_string(c.parts) + " : i64, split_rows = 4 : i64, group = " +
                                      std::to_string(c.heads / c.kvHeads) + " : i64"
                                : "";
    return "exec.kernel @k \"attention\" {element = \"" + std::string(c.element) +
           "\", scale = 0.125 : f64, soft_cap = 0.0 : f64, window = 0 : i64, sinks = false, alibi = false" + split + "}";
  }
  Case test;
  const Kernel &kernel;
  const Kernel *combine = nullptr;
  int64_t blocks, copies, pages;
  Buffer query, positions, sequence, table, pool, out, segments, last;
  std::vector<int64_t> scalars, combineScalars;
};

// Thread `index`'s share of a dispatch, of `count`.
void runShare(const Kernel &kernel, std::vector<void *> operands, const std::vector<int64_t> &scalars, void *scratch,
              int index, int count) {
  int64_t items = kernel.items(scalars), part = ceilDiv(items, count), begin = std::min(items, part * index);
  llmrt_dispatch dispatch{operands.data(), scalars.data(), begin, std::min(items, begin + part), scratch};
  kernel.function(scalars[0])(&dispatch);
}

struct Limits {
  double fma, read;
};

const Limits &limits(int threads) {
  static std::map<int, Limits> measured;
  auto [found, fresh] = measured.try_emplace(threads);
  if (fresh) {
    found->second.fma = *llmrt::measure_dot_gops(threads, llmrt::detect_cpu().features) / 4;
    found->second.read = *llmrt::measure_read_gbps(threads);
  }
  return found->second;
}

void runAttention(benchmark::State &state, const Case &c, std::unique_ptr<Attention> &shared) {
  if (state.thread_index() == 0) {
    limits(state.threads());
    shared = std::make_unique<Attention>(c);
  }
  std::unique_ptr<Buffer> scratch;
  int64_t pass = 0;
  for (auto _ : state) {
    Attention &a = *shared;
    if (!scratch)
      scratch = std::make_unique<Buffer>(std::max(a.kernel.scratchBytes(a.scalars),
                                                  a.combine ? a.combine->scratchBytes(a.combineScalars) : 0));
    runShare(a.kernel, a.operands(pass++), a.scalars, scratch->data, state.thread_index(), state.threads());
    if (a.combine)
      runShare(*a.combine, a.combineOperands(), a.combineScalars, scratch->data, state.thread_index(), state.threads());
  }
  using benchmark::Counter;
  double runs = double(state.iterations()) / state.threads(), keys = double(c.depth) + double(c.rows + 1) / 2;
  double operations = 4 * double(c.rows) * keys * double(c.heads * c.dim) * runs;
  double bytes = double(shared->blocks * shared->pageBytes()) * runs;
  bool dot = c.element == std::string("bf16") && tier().ends_with("bf16");
  if (c.rows == 1) {
    state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsRate);
    state.counters["of_read"] = Counter(bytes / 1e9 / limits(state.threads()).read, Counter::kIsRate);
  }
  state.counters["GFLOPS"] = Counter(operations / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(operations / 1e9 / limits(state.threads()).fma / (dot ? 2 : 1), Counter::kIsRate);
}

void registerAll() {
  static std::unique_ptr<Attention> shared;
  struct Shape {
    int64_t heads, kvHeads, dim;
  };
  for (const char *element : {"f32", "f16", "bf16", "int8"})
    for (Shape shape : {Shape{32, 8, 64}, Shape{32, 8, 128}, Shape{64, 8, 128}, Shape{8, 1, 64}})
      for (auto [rows, depth] : {std::pair<int64_t, int64_t>{1, 4096}, {1, 32768}, {512, 0}, {512, 8192}})
        for (int64_t parts : {int64_t(0), 32 / shape.kvHeads}) {
          if (parts && rows > 1) continue;
          Case c{element, shape.heads, shape.kvHeads, shape.dim, rows, depth, parts};
          std::string label = std::string(element) + "/d" + std::to_string(shape.dim) + "/" +
                              std::to_string(shape.heads) + "to" + std::to_string(shape.kvHeads) + "/" +
                              std::to_string(rows) + "at" + std::to_string(depth) + (parts ? "/parts" : "");
          auto *registered = benchmark::RegisterBenchmark(
              label.c_str(), [=](benchmark::State &state) { runAttention(state, c, shared); });
          registered->UseRealTime()->Unit(benchmark::kMicrosecond)->Threads(1)->Threads(2);
        }
}

} // namespace
} // namespace llmc::bench

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  llmc::bench::registerAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
