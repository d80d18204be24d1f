#include "codegen/golden/Golden.h"

#include "codegen/gpu/GpuKernel.h"
#include "codegen/golden/Draft.h"

#include <set>

namespace llmc::golden {

static int64_t evaluate(const cpu::Expression &expression, const std::vector<int64_t> &scalars) {
  int64_t sum = 0;
  for (const cpu::Expression::Term &term : expression.terms()) {
    int64_t product = term.coefficient;
    for (int16_t scalar : term.scalars)
      if (scalar >= 0) product *= scalars[scalar];
    sum += product;
  }
  return sum;
}

Draft::Draft(exec::KernelOp kernel, const codegen::CpuTier &tier, std::vector<int64_t> scalars)
    : kernel(kernel), info(cpu::findKind(kernel.getKind())->describe(kernel, tier)) {
  golden.scalars = std::move(scalars);
}

void Draft::add(Bytes bytes) {
  int64_t extent = evaluate(info.operands[golden.operands.size()].extent, golden.scalars);
  if (int64_t(bytes.size()) > extent)
    llvm::report_fatal_error("a golden vector of kernel '" + kernel.getSymName() + "' is larger than its extent");
  bytes.resize(extent);
  golden.operands.push_back(std::move(bytes));
}

size_t Draft::addResult() {
  add(Bytes());
  return golden.operands.size() - 1;
}

void Draft::expect(size_t operand, const std::vector<double> &values, double bound, size_t offset) {
  golden.results.push_back({operand, offset, bytesOf(Floats(values.begin(), values.end())), bound});
}

namespace {

struct Maker {
  const char *kind;
  Draft (*make)(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
};
constexpr Maker kMakers[] = {
    {"embed", makeEmbed},
    {"norm", makeNorm},
    {"linear", makeLinear},
    {"linear_heads", makeLinearHeads},
    {"map", makeMap},
    {"rope", makeRope},
    {"rope_table", makeRopeTable},
    {"cache_write", makeCacheWrite},
    {"attention", makeAttention},
    {"attention_combine", makeAttentionCombine},
    {"top_k", makeTopK},
};

// The first row count of every variant that has something to do.
std::set<int64_t> rowCounts(exec::KernelOp kernel, bool gpus) {
  std::set<int64_t> rows;
  auto add = [&](const cpu::KernelInfo &info) {
    for (const cpu::VariantInfo &variant : info.variants)
      if (!variant.items || !variant.items->terms().empty()) rows.insert(std::max<int64_t>(variant.firstRows, 1));
  };
  for (const codegen::CpuTier &tier : codegen::cpuTiers()) add(cpu::findKind(kernel.getKind())->describe(kernel, tier));
  if (gpus && gpu::refusal(kernel).empty()) add(gpu::describe(kernel, gpu::MatrixUnits::Warp)); // which has all variants
  return rows;
}

} // namespace

std::vector<Golden> makeGoldensOfRows(exec::KernelOp kernel, int64_t rows) {
  const Maker *maker = llvm::find_if(kMakers, [&](const Maker &one) { return kernel.getKind() == one.kind; });
  if (maker == std::end(kMakers)) llvm::report_fatal_error("no golden vectors are made for '" + kernel.getKind() + "'");
  std::vector<Golden> goldens;
  std::vector<std::vector<size_t>> seen; // extents
  for (const codegen::CpuTier &tier : codegen::cpuTiers()) {
    Draft draft = maker->make(kernel, rows, tier);
    std::vector<size_t> extents;
    for (const auto &operand : draft.golden.operands) extents.push_back(operand.size());
    if (llvm::is_contained(seen, extents)) continue;
    seen.push_back(std::move(extents));
    goldens.push_back(std::move(draft.golden));
  }
  return goldens;
}

std::vector<Golden> makeGoldens(exec::KernelOp kernel, bool gpus) {
  std::vector<Golden> all;
  for (int64_t rows : rowCounts(kernel, gpus))
    for (Golden &golden : makeGoldensOfRows(kernel, rows)) all.push_back(std::move(golden));
  return all;
}

} // namespace llmc::golden
