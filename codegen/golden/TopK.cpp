// Golden vectors of top_k: rows with many equal values, with a short last run, and with what is no number of the usual
// kind.
#include "codegen/golden/Draft.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace llmc::golden {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void addPair(std::vector<int32_t> &words, float value, int64_t id) {
  words.push_back(std::bit_cast<int32_t>(value));
  words.push_back(int32_t(id));
}

} // namespace

Draft makeTopK(exec::KernelOp kernel, int64_t n, const codegen::CpuTier &tier) {
  bool pairs = cpu::configBool(kernel, "pairs");
  int64_t count = cpu::configInt(kernel, "count"), N = pairs ? 300 : 2100, ld = N + 3, runs = ceilDiv(N, exec::kTopKColumns);
  Draft draft(kernel, tier, {n, N, runs, ld});
  Floats x = numbers(size_t((n - 1) * ld + N), 1, 3);
  x[7] = -0.0f, x[9] = 0, x[size_t(N) - 2] = -kInfinity, x[size_t(N) - 5] = std::numeric_limits<float>::denorm_min();
  std::vector<int32_t> words, expected;
  // Of pairs the last ten of a row are none; ids ascend and leave out some.
  int64_t there = pairs ? N - 10 : N, step = pairs ? 3 : 1;
  for (int64_t i = 0; i < int64_t(x.size()); ++i) {
    bool isThere = i % ld < there;
    addPair(words, isThere ? x[size_t(i)] : -kInfinity, isThere ? i % ld * step : -1);
  }
  if (pairs) draft.add(words);
  else draft.add(x);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t first = 0; first < N; first += exec::kTopKColumns) {
      int64_t columns = std::min(there - first, exec::kTopKColumns);
      llvm::ArrayRef<float> run(x.data() + row * ld + first, size_t(columns));
      for (reference::Best best : reference::topK(run, columns, count))
        addPair(expected, best.value, best.column < 0 ? -1 : (first + best.column) * step);
    }
  draft.expectBytes(draft.addResult(), bytesOf(expected));
  return draft;
}

} // namespace llmc::golden
