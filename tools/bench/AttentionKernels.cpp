// The attention kernels as llmc generates them, each alone: bytes of keys and values a second (one row), operations a
// second (512 rows), and their share of the read or of the peak of the instruction that is used.
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
};

// One attention with everything it reads: page tables in random order over a pool that no cache holds.
struct Attention {
  Attention(const Case &c)
      : test(c), kernel(conformance::cachedKernel(text(c), tier())), blocks(ceilDiv(c.depth + c.rows, 16)),
        copies(c.rows > 1 ? 1 : std::max<int64_t>(1, kBeyondCaches / (blocks * pageBytes()))), pages(copies * blocks),
        query(c.rows * width() * 4), positions(c.rows * 4), sequence(c.rows * 4), table(pages * 4),
        pool(pages * pageBytes()), out(c.rows * width() * 4) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::generate_n(query.as<float>(), c.rows * width(), [&] { return uniform(generator); });
    for (int64_t i = 0; i < c.rows; ++i) positions.as<int32_t>()[i] = int32_t(c.depth + i);
    for (int64_t i = 0; i < pages; ++i) table.as<int32_t>()[i] = int32_t(i);
    std::shuffle(table.as<int32_t>(), table.as<int32_t>() + pages, generator);
    fillPool();
    scalars = {c.rows, c.heads, c.kvHeads, c.heads / c.kvHeads, c.dim, c.dim, c.dim, width(), width(), 1, blocks, pages};
  }
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
    return {query.data, positions.data, sequence.data, table.as<int32_t>() + pass % copies * blocks, pool.data, out.data};
  }
  static std::string text(const Case &c) {
    return "exec.kernel @k \"attention\" {element = \"" + std::string(c.element) +
           "\", scale = 0.125 : f64, soft_cap = 0.0 : f64, window = 0 : i64, sinks = false, alibi = false}";
  }
  Case test;
  const Kernel &kernel;
  int64_t blocks, copies, pages;
  Buffer query, positions, sequence, table, pool, out;
  std::vector<int64_t> scalars;
};

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
    if (!scratch) scratch = std::make_unique<Buffer>(a.kernel.scratchBytes(a.scalars));
    int64_t items = a.kernel.items(a.scalars), part = ceilDiv(items, state.threads());
    int64_t begin = part * state.thread_index(), end = std::min(items, begin + part);
    std::vector<void *> operands = a.operands(pass++);
    llmrt_dispatch dispatch{operands.data(), a.scalars.data(), begin, end, scratch->data};
    a.kernel.function(c.rows)(&dispatch);
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
    for (Shape shape : {Shape{32, 8, 64}, Shape{32, 8, 128}, Shape{64, 8, 128}})
      for (auto [rows, depth] : {std::pair<int64_t, int64_t>{1, 4096}, {1, 32768}, {512, 0}, {512, 8192}}) {
        Case c{element, shape.heads, shape.kvHeads, shape.dim, rows, depth};
        std::string label = std::string(element) + "/d" + std::to_string(shape.dim) + "/" +
                            std::to_string(shape.heads / shape.kvHeads) + "to1/" + std::to_string(rows) + "at" +
                            std::to_string(depth);
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
