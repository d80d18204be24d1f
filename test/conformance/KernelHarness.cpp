#include "test/conformance/KernelHarness.h"

#include "codegen/schemes/Scheme.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <cmath>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <sys/mman.h>

namespace llmc::conformance {

#if defined(__x86_64__)
static bool hasAvxVnni() {
  uint32_t a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
static bool hasAvx512Vnni() { return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"); }
#endif

// The tier as this machine can run it. Where vpdpbusd of 256 bits exists in its AVX-512 form only, the same code is
// encoded so.
static codegen::CpuTier tierOf(const std::string &name) {
  codegen::CpuTier tier = *codegen::findCpuTier(name);
#if defined(__x86_64__)
  if (name == "x86-64-v3-vnni" && !hasAvxVnni()) tier.llvmFeatures = "+avx512vl,+avx512vnni";
#endif
  return tier;
}

std::vector<std::string> runnableTiers() {
  std::vector<std::string> tiers;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tiers.push_back("x86-64-v3");
  if (__builtin_cpu_supports("avx2") && (hasAvxVnni() || hasAvx512Vnni())) tiers.push_back("x86-64-v3-vnni");
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    tiers.push_back("x86-64-v4");
    if (__builtin_cpu_supports("avx512vnni")) tiers.push_back("x86-64-v4-vnni");
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16"))
      tiers.push_back("x86-64-v4-vnni-bf16");
  }
#else
  tiers.push_back("arm64-dotprod");
#endif
  return tiers;
}

Kernel::Kernel(const std::string &text, const std::string &tier) {
  mlir::DialectRegistry registry;
  exec::registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  codegen::loadCodegenDialects(context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module) abort();
  llvm::SmallVector<exec::KernelOp> kernels(module->getOps<exec::KernelOp>());
  auto segment = codegen::buildCpuSegment(kernels, tierOf(tier));
  if (!segment) llvm::report_fatal_error(segment.takeError());
  bytes_ = segment->bytes.size();
  image_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (image_ == MAP_FAILED) abort();
  std::memcpy(image_, segment->bytes.data(), bytes_);
  mprotect(image_, bytes_, PROT_READ | PROT_EXEC);
  size_t offset = sizeof(llmrt_code_header);
  entries_ = table<llmrt_kernel_entry>(offset);
  offset += header().kernel_count * sizeof(llmrt_kernel_entry);
  operands_ = table<llmrt_operand>(offset);
  offset += header().operand_count * sizeof(llmrt_operand);
  constraints_ = table<llmrt_constraint>(offset);
  offset += header().constraint_count * sizeof(llmrt_constraint);
  terms_ = table<llmrt_term>(offset);
}

Kernel::~Kernel() { munmap(image_, bytes_); }

const llmrt_kernel_entry &Kernel::variant(int64_t rows) const {
  for (uint32_t i = 0; i < header().kernel_count; ++i)
    if (entries_[i].first_rows <= rows && rows <= entries_[i].last_rows) return entries_[i];
  abort();
}

int64_t Kernel::evaluate(const llmrt_expression &expression, const std::vector<int64_t> &scalars) const {
  int64_t sum = 0;
  for (uint32_t i = 0; i < expression.term_count; ++i) {
    const llmrt_term &term = terms_[expression.first_term + i];
    int64_t product = term.coefficient;
    for (int16_t scalar : term.scalars)
      if (scalar >= 0) product *= scalars[scalar];
    sum += product;
  }
  return sum;
}

int64_t Kernel::extent(int index, const std::vector<int64_t> &scalars) const {
  return evaluate(operands_[variant(scalars[0]).first_operand + index].extent, scalars);
}

llmrt_kernel Kernel::function(int64_t rows) const {
  return reinterpret_cast<llmrt_kernel>(reinterpret_cast<uintptr_t>(image_) + variant(rows).entry);
}

int64_t Kernel::items(const std::vector<int64_t> &scalars) const {
  return evaluate(variant(scalars[0]).items, scalars);
}

int64_t Kernel::scratchBytes(const std::vector<int64_t> &scalars) const {
  return ceilDiv(evaluate(variant(scalars[0]).scratch, scalars), 64) * 64;
}

void Kernel::run(std::vector<std::vector<char> *> operands, const std::vector<int64_t> &scalars, Guard guard,
                 int64_t piece) const {
  const llmrt_kernel_entry &entry = variant(scalars[0]);
  if (operands.size() != entry.operand_count || scalars.size() != entry.scalar_count) abort();
  for (uint32_t i = 0; i < entry.constraint_count; ++i)
    if (evaluate(constraints_[entry.first_constraint + i].value, scalars) < 0) {
      fprintf(stderr, "constraint %u of the kernel does not hold\n", i);
      abort();
    }
  std::vector<GuardedBuffer> buffers;
  std::vector<void *> pointers;
  for (size_t i = 0; i < operands.size(); ++i) {
    int64_t bytes = extent(int(i), scalars);
    if (bytes > int64_t(operands[i]->size())) {
      fprintf(stderr, "operand %zu: the kernel may touch %lld bytes of %zu\n", i, (long long)bytes, operands[i]->size());
      abort();
    }
    buffers.emplace_back(bytes, guard);
    buffers.back().fill(*operands[i]);
    pointers.push_back(buffers.back().data());
  }
  int64_t count = items(scalars);
  for (int64_t begin = 0; begin < count; begin += std::min(piece, count)) {
    GuardedBuffer scratch(scratchBytes(scalars), guard);
    std::memset(scratch.data(), 0xff, scratch.size()); // NaN: nobody may count on what was there
    llmrt_dispatch dispatch{pointers.data(), scalars.data(), begin, std::min(begin + std::min(piece, count), count),
                            scratch.data()};
    function(scalars[0])(&dispatch);
  }
  for (size_t i = 0; i < operands.size(); ++i)
    std::memcpy(operands[i]->data(), buffers[i].data(), buffers[i].size());
}

const Kernel &cachedKernel(const std::string &text, const std::string &tier) {
  static std::map<std::pair<std::string, std::string>, std::unique_ptr<Kernel>> built;
  auto &kernel = built[{text, tier}];
  if (!kernel) kernel = std::make_unique<Kernel>(text, tier);
  return *kernel;
}

std::vector<float> randomFloats(size_t count, uint32_t seed, float scale) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(count);
  for (float &value : values) value = uniform(generator);
  return values;
}

std::vector<double> toDouble(const std::vector<float> &values) { return {values.begin(), values.end()}; }

std::vector<char> packRows(const std::string &scheme, const std::string &element, const std::vector<float> &matrix,
                           int64_t rows, int64_t columns) {
  const Scheme *s = findScheme(scheme);
  int64_t blockBytes = s ? s->chunks(columns) * s->chunkBytes() : 16 * columns * (element == "f32" ? 4 : 2);
  std::vector<char> bytes(ceilDiv(rows, 16) * blockBytes);
  for (int64_t block = 0; block * 16 < rows; ++block) {
    std::vector<float> tile(16 * columns);
    int64_t first = block * 16 * columns, count = std::min(rows * columns - first, 16 * columns);
    std::copy_n(matrix.begin() + first, count, tile.begin());
    llvm::MutableArrayRef<char> out(bytes.data() + block * blockBytes, blockBytes);
    PackStatus status = s ? packBlock(*s, tile, columns, out) : packBlockPlain(element, tile, columns, out);
    if (status != PackStatus::Ok) abort();
  }
  return bytes;
}

reference::Element elementOf(const std::string &name) {
  if (name == "f16") return reference::Element::F16;
  return name == "bf16" ? reference::Element::BF16 : reference::Element::F32;
}

double relativeError(const std::vector<float> &actual, const std::vector<double> &expected) {
  double largest = 1e-30, difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    double d = std::abs(actual[i] - expected[i]);
    difference = d >= difference ? d : std::isnan(d) ? INFINITY : difference;
  }
  return difference / largest;
}

} // namespace llmc::conformance
