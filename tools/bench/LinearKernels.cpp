// The linear kernels as llmc generates them, each alone: operations a second, and their share of the int8 dot peak (many
// rows) or of the read (few) measured in the same process. Threads take halves of the items, as the pool would.
#include "codegen/schemes/Scheme.h"
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/limits.h"
#include "test/conformance/KernelHarness.h"
#include "tools/bench/KernelBench.h"

#include <benchmark/benchmark.h>

namespace llmc::bench {
namespace {

using conformance::ceilDiv;
using conformance::Kernel;

struct Shape {
  int64_t outputs, columns;
};

// One linear on int8 inputs with everything it reads.
struct Linear {
  Linear(const Scheme &scheme, Shape shape, int64_t rows)
      : kernel(conformance::cachedKernel(text(scheme), tier())), chunks(scheme.chunks(shape.columns)),
        padded(chunks * scheme.columnsPerChunk()), weightBytes(ceilDiv(shape.outputs, 16) * chunks * scheme.chunkBytes()),
        q(rows * padded, 1), corr(rows * chunks * 8, 0), scale(rows * ceilDiv(padded, 128) * 4, 0),
        copies(rows > 16 ? 1 : ceilDiv(kBeyondCaches, weightBytes)), weight(copies * weightBytes, 0x11),
        out(rows * shape.outputs * 4, 0) {
    scalars = {rows, shape.columns, shape.outputs, ceilDiv(shape.outputs, 16), chunks, 0, shape.outputs,
               ceilDiv(padded, 128)};
  }
  // Each pass takes the next copy of the weights, so that a model's size, not the caches', is what few rows meet.
  std::vector<void *> operands(int64_t pass) const {
    return {q.data, corr.data, scale.data, weight.data + pass % copies * weightBytes, out.data};
  }
  static std::string text(const Scheme &scheme) {
    return "exec.kernel @k \"linear\" {scheme = \"" + std::string(scheme.name) +
           "\", element = \"f32\", activations = \"int8\", gated = false, rows = 0, vectors = 0}";
  }
  const Kernel &kernel;
  int64_t chunks, padded, weightBytes;
  Buffer q, corr, scale;
  int64_t copies;
  Buffer weight, out;
  std::vector<int64_t> scalars;
};

struct Limits {
  double dot, read;
};

const Limits &limits(int threads) {
  static std::map<int, Limits> measured;
  auto [found, fresh] = measured.try_emplace(threads);
  if (fresh) {
    found->second.dot = *llmrt::measure_dot_gops(threads, llmrt::detect_cpu().features);
    found->second.read = *llmrt::measure_read_gbps(threads);
  }
  return found->second;
}

void runLinear(benchmark::State &state, const Scheme &scheme, Shape shape, int64_t rows, std::unique_ptr<Linear> &shared) {
  if (state.thread_index() == 0) {
    limits(state.threads());
    shared = std::make_unique<Linear>(scheme, shape, rows);
  }
  std::unique_ptr<Buffer> scratch;
  int64_t pass = 0;
  for (auto _ : state) {
    Linear &l = *shared;
    if (!scratch) scratch = std::make_unique<Buffer>(l.kernel.scratchBytes(l.scalars), 0);
    int64_t items = l.kernel.items(l.scalars), part = ceilDiv(items, state.threads());
    int64_t begin = part * state.thread_index(), end = std::min(items, begin + part);
    std::vector<void *> operands = l.operands(pass++);
    llmrt_dispatch dispatch{operands.data(), l.scalars.data(), begin, end, scratch->data};
    l.kernel.function(rows)(&dispatch);
  }
  using benchmark::Counter;
  double threads = state.threads();
  double operations = 2.0 * double(rows) * double(shape.outputs) * double(shape.columns) * double(state.iterations()) / threads;
  double bytes = double(shared->weightBytes) * double(state.iterations()) / threads;
  state.counters["GOPS"] = Counter(operations / 1e9, Counter::kIsRate);
  state.counters["of_dot"] = Counter(operations / 1e9 / limits(state.threads()).dot, Counter::kIsRate);
  state.counters["of_read"] = Counter(bytes / 1e9 / limits(state.threads()).read, Counter::kIsRate);
}

void registerAll() {
  static std::unique_ptr<Linear> shared;
  for (const char *name : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128"})
    for (Shape shape : {Shape{14336, 4096}, Shape{2048, 2048}, Shape{8192, 2048}, Shape{4096, 14336}})
      for (int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 64, 512}) {
        std::string label = std::string(name) + "/" + std::to_string(shape.outputs) + "x" + std::to_string(shape.columns) +
                            "/" + std::to_string(rows);
        auto *registered = benchmark::RegisterBenchmark(label.c_str(), [=](benchmark::State &state) {
          runLinear(state, *findScheme(name), shape, rows, shared);
        });
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
