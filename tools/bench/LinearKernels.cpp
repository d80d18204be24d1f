// The linear kernels as llmc generates them, each alone with the rounding of its input: operations a second, and their
// share of the peak of the dot product used (many rows) and of the read (few), both measured before and after. Work is dealt
// out by the runtime's thread pool.
#include "codegen/schemes/Scheme.h"
#include "runtime/base/os.h"
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/limits.h"
#include "runtime/device/cpu/thread_pool.h"
#include "test/conformance/KernelHarness.h"
#include "tools/bench/KernelBench.h"

#include <benchmark/benchmark.h>

#include <cmath>

namespace llmc::bench {
namespace {

using conformance::ceilDiv;
using conformance::Kernel;

struct Case {
  std::string scheme, element, activations; // of a linear's config
  int64_t outputs, columns, rows;
  int threads;

  bool rounds() const { return activations != "float"; }
  std::string weights() const { return scheme == "none" ? element : scheme; }
  std::string linearText() const {
    return "exec.kernel @k \"linear\" {scheme = \"" + scheme + "\", element = \"" + element + "\", activations = \"" +
           activations + "\", gated = false, rows = 0, vectors = 0}";
  }
  std::string roundingText() const {
    std::string scheme = activations == "int8" ? ", scheme = \"" + this->scheme + "\"" : "";
    return "exec.kernel @k \"norm\" {kind = \"none\", epsilon = 0.0 : f64, bias = false, gather = false, out = \"" +
           activations + "\"" + scheme + "}";
  }
};

// A kernel with its operands, and what a thread needs to run a piece of it.
struct Dispatch {
  Dispatch(const Kernel &kernel, std::vector<int64_t> scalars, int threads)
      : kernel(kernel), scalars(std::move(scalars)), scratchBytes(kernel.scratchBytes(this->scalars)),
        scratch(threads * scratchBytes + 1) {}

  void run(llmrt::ThreadPool &pool) {
    pool.run(kernel.items(scalars), kernel.grain(scalars[0]), piece, this);
  }
  static void piece(void *context, int thread, int64_t begin, int64_t end) {
    auto &own = *static_cast<Dispatch *>(context);
    llmrt_dispatch dispatch{own.operands.data(), own.scalars.data(), begin, end,
                            own.scratch.data + thread * own.scratchBytes};
    own.kernel.function(own.scalars[0])(&dispatch);
  }

  const Kernel &kernel;
  std::vector<int64_t> scalars;
  int64_t scratchBytes;
  Buffer scratch;
  std::vector<void *> operands;
};

// One linear with everything it reads.
struct Linear {
  explicit Linear(const Case &c)
      : scheme(findScheme(c.scheme)), perChunk(scheme ? scheme->columns_per_chunk() : c.activations == "bf16" ? 32 : 1),
        chunks(ceilDiv(c.columns, perChunk)), padded(chunks * perChunk), runs(ceilDiv(padded, 128)),
        weightBytes(ceilDiv(c.outputs, 16) * (scheme ? chunks * scheme->chunk_bytes() : c.columns * 32)),
        copies(c.rows > 16 ? 1 : ceilDiv(kBeyondCaches, weightBytes)), x(c.rows * c.columns * 4, 0x3f),
        rounded(c.rows * padded * 4), corr(c.rows * padded), scale(c.rows * runs * 4), weight(copies * weightBytes, 0x11),
        out(c.rows * c.outputs * 4), linear(conformance::cachedKernel(c.linearText(), tier()), linearScalars(c), c.threads) {
    if (c.rounds()) {
      int64_t chunksOfNorm = c.activations == "int8" ? chunks : padded / 32;
      std::vector<int64_t> scalars = {c.rows, c.columns, ceilDiv(c.columns, 16), c.columns, chunksOfNorm, c.rows, runs};
      rounding.emplace(conformance::cachedKernel(c.roundingText(), tier()), scalars, c.threads);
      rounding->operands = {x.data, rounded.data};
    }
    linear.operands = {c.rounds() ? rounded.data : x.data};
    if (c.activations == "int8")
      for (auto *own : {&linear, &*rounding}) own->operands.insert(own->operands.end(), {corr.data, scale.data});
    linear.operands.insert(linear.operands.end(), {weight.data, out.data});
  }
  std::vector<int64_t> linearScalars(const Case &c) const {
    std::vector<int64_t> scalars = {c.rows, c.columns, c.outputs, ceilDiv(c.outputs, 16), chunks,
                                    c.rounds() ? 0 : c.columns, c.outputs};
    if (c.activations == "int8") scalars.push_back(runs);
    return scalars;
  }
  // Each pass takes the next copy of the weights, so that a model's size, not the caches', is what few rows meet.
  void run(llmrt::ThreadPool &pool, int64_t pass) {
    linear.operands[linear.operands.size() - 2] = weight.data + pass % copies * weightBytes;
    if (rounding) rounding->run(pool);
    linear.run(pool);
  }

  const Scheme *scheme;
  int64_t perChunk, chunks, padded, runs, weightBytes, copies;
  Buffer x, rounded, corr, scale, weight, out;
  Dispatch linear;
  std::optional<Dispatch> rounding;
};

struct Limits {
  double dot, read;
};

// What the machine does at this moment: it changes as neighbours come and go.
Limits limitsNow(int threads) {
  static const Buffer memory(512 << 20, 1);
  return {*llmrt::measure_dot_gops(threads, llmrt::detect_cpu().features),
          *llmrt::measure_read_gbps(threads, {reinterpret_cast<const std::byte *>(memory.data), memory.bytes})};
}

// Of the int8 dot peak: what the inputs' instruction does of it.
double share(const Case &c) {
  if (c.activations == "int8") return 1;
  return c.activations == "bf16" && tier().ends_with("bf16") ? 0.5 : 0.25;
}

void runLinear(benchmark::State &state, const Case &c) {
  auto pool = llmrt::ThreadPool::create(c.threads);
  if (!pool) return state.SkipWithError(pool.status().message().c_str());
  Linear linear(c);
  Limits before = limitsNow(c.threads);
  int64_t pass = 0;
  for (auto _ : state) linear.run(**pool, pass++);
  Limits after = limitsNow(c.threads), limit{(before.dot + after.dot) / 2, (before.read + after.read) / 2};
  using benchmark::Counter;
  double operations = 2.0 * double(c.rows * c.outputs) * double(c.columns) * double(pass);
  double bytes = double(linear.weightBytes) * double(pass);
  state.counters["GOPS"] = Counter(operations / 1e9, Counter::kIsRate);
  state.counters["of_dot"] = Counter(operations / 1e9 / limit.dot / share(c), Counter::kIsRate);
  state.counters["of_read"] = Counter(bytes / 1e9 / limit.read, Counter::kIsRate);
  // Where they are far apart, the kernel met two machines.
  state.counters["dot_changed"] = std::abs(before.dot / after.dot - 1);
  state.counters["read_changed"] = std::abs(before.read / after.read - 1);
}

void add(const Case &c) {
  std::string label = c.activations + "/" + c.weights() + "/" + std::to_string(c.outputs) + "x" +
                      std::to_string(c.columns) + "/" + std::to_string(c.rows) + "/" + std::to_string(c.threads) +
                      (c.threads == 1 ? "thread" : "threads");
  benchmark::RegisterBenchmark(label.c_str(), [=](benchmark::State &state) { runLinear(state, c); })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void registerAll() {
  for (int threads : {2, 1})
    for (auto [scheme, element, activations] :
         {std::tuple{"q4_g32", "f32", "int8"}, {"q4_g64", "f32", "int8"}, {"q4_g128", "f32", "int8"},
          {"q8_g32", "f32", "int8"}, {"q8_g128", "f32", "int8"}, {"q4_g32", "f32", "bf16"}, {"q4_g64", "f32", "bf16"},
          {"q4_g128", "f32", "bf16"}, {"q8_g32", "f32", "bf16"}, {"q8_g128", "f32", "bf16"}, {"none", "bf16", "bf16"},
          {"none", "bf16", "float"}, {"none", "f16", "float"}, {"q4a_g32", "f32", "int8"}, {"q4a_g32", "f32", "bf16"}}) {
      for (auto [outputs, columns] : {std::pair{14336, 4096}, {4096, 14336}, {4096, 4096}, {2048, 2048}})
        for (int64_t rows : {1, 2, 4, 8, 16, 64, 512})
          add({scheme, element, activations, outputs, columns, rows, threads});
      for (int64_t rows : {3, 5, 6, 7, 11}) add({scheme, element, activations, 14336, 4096, rows, threads});
      add({scheme, element, activations, 128256, 2048, 8, threads});
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
