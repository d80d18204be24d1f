#include "test/conformance/KernelHarness.h"

#include "codegen/golden/Operands.h"
#include "codegen/schemes/Scheme.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/Parser/Parser.h"
#include "runtime/device/gpu/lone_run.h"
#include "test/conformance/Tally.h"

#include <cmath>
#include <cstring>
#include <sys/mman.h>

namespace llmc::conformance {

void useKernel(const std::string &text, llvm::function_ref<void(exec::KernelOp)> use) {
  mlir::DialectRegistry registry;
  exec::registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  loadDialects(context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module) abort();
  use(*module->getOps<exec::KernelOp>().begin());
}

std::string keyOf(const std::string &text) {
  static std::map<std::string, std::string> known;
  auto [found, isNew] = known.try_emplace(text);
  if (isNew) found->second = llvm::toHex(withKernel(text, codegen::kernelId));
  return found->second;
}

static codegen::CodeSegment build(const std::string &text, const TestDevice &device) {
  return withKernel(text, [&](exec::KernelOp kernel) {
    auto built = device.build(kernel);
    if (!built) llvm::report_fatal_error(built.takeError());
    return std::move(*built);
  });
}

Kernel::Kernel(const std::string &text, const std::string &device)
    : Kernel(text, device, build(text, findDevice(device))) {
  counts_ = true;
  for (const llmrt_kernel_entry &entry : table_.entries())
    Tally::ofProcess().devices[device].built.insert({text, entry.first_rows});
}

Kernel::Kernel(const std::string &text, const std::string &device, const codegen::CodeSegment &segment)
    : device_(findDevice(device)) {
  bytes_ = segment.bytes.size();
  image_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (image_ == MAP_FAILED) abort();
  std::memcpy(image_, segment.bytes.data(), bytes_);
  mprotect(image_, bytes_, device_.backend ? PROT_READ : PROT_READ | PROT_EXEC);
  auto table = llmrt::CodeTable::parse({static_cast<const std::byte *>(image_), bytes_});
  if (!table) llvm::report_fatal_error(llvm::StringRef(table.status().message()));
  table_ = *std::move(table);
  text_ = text;
}

Kernel::~Kernel() { munmap(image_, bytes_); }

const llmrt_kernel_entry &Kernel::variant(int64_t rows) const {
  for (const llmrt_kernel_entry &entry : table_.entries())
    if (entry.first_rows <= rows && rows <= entry.last_rows) return entry;
  abort();
}

std::vector<int64_t> Kernel::rowsOfVariants(int64_t most) const {
  std::vector<int64_t> rows;
  for (const llmrt_kernel_entry &entry : table_.entries())
    if (entry.first_rows <= most && entry.last_rows >= 1) rows.push_back(std::max<int64_t>(entry.first_rows, 1));
  return rows;
}

std::vector<int64_t> Kernel::rowsOfTiles() const {
  std::vector<int64_t> rows;
  for (int64_t count = 1; count <= 24; ++count) rows.push_back(count);
  const codegen::CpuTier *tier = codegen::findCpuTier(device_.name);
  if (tier && tier->features & LLMRT_FEATURE_AMX_INT8) rows.insert(rows.end(), {32, 37, 48, kMostTileRows});
  return rows;
}

int64_t Kernel::evaluate(const llmrt_expression &expression, const std::vector<int64_t> &scalars) const {
  std::optional<int64_t> value = table_.evaluate(expression, scalars);
  if (!value) abort();
  return *value;
}

int64_t Kernel::extent(int index, const std::vector<int64_t> &scalars) const {
  return evaluate(table_.operands(variant(scalars[0]))[size_t(index)].extent, scalars);
}

llmrt_kernel Kernel::function(int64_t rows) const {
  return reinterpret_cast<llmrt_kernel>(reinterpret_cast<uintptr_t>(image_) + variant(rows).entry);
}

std::vector<std::span<const std::byte>> Kernel::modules() const {
  std::vector<std::span<const std::byte>> all;
  for (const llmrt_kernel_entry &entry : table_.entries())
    all.push_back(table_.segment().subspan(entry.entry, entry.code_bytes));
  return all;
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
  std::vector<std::span<std::byte>> spans;
  for (std::vector<char> *operand : operands)
    spans.push_back(std::as_writable_bytes(std::span<char>(*operand)));
  llmrt::LoneKernel kernel{&table_, &entry, scalars, spans};
  llmrt::Status status = llmrt::check_lone_kernel(kernel);
  if (status.ok() && device_.backend) status = llmrt::gpu::run_alone(*device_.backend(), kernel);
  if (!status.ok()) fail(status.message());
  if (!device_.backend) runOnCpu(operands, scalars, guard, piece);
  if (counts_) Tally::ofProcess().devices[device_.name].run.insert({text_, entry.first_rows});
}

void Kernel::fail(const std::string &what) const {
  llvm::report_fatal_error(llvm::Twine(device_.name) + ": " + what + ": " + text_);
}

void Kernel::runOnCpu(const std::vector<std::vector<char> *> &operands, const std::vector<int64_t> &scalars, Guard guard,
                      int64_t piece) const {
  std::vector<GuardedBuffer> buffers;
  std::vector<void *> pointers;
  for (size_t i = 0; i < operands.size(); ++i) {
    buffers.emplace_back(size_t(extent(int(i), scalars)), guard);
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

static std::unique_ptr<Kernel> &cached(const std::string &text, const std::string &device) {
  static std::map<std::pair<std::string, std::string>, std::unique_ptr<Kernel>> built;
  return built[{keyOf(text), device}];
}

const Kernel &cachedKernel(const std::string &text, const std::string &device) {
  auto &kernel = cached(text, device);
  if (!kernel) kernel = std::make_unique<Kernel>(text, device);
  return *kernel;
}

void setCachedKernel(const std::string &text, const std::string &device, const codegen::CodeSegment &code) {
  cached(text, device) = std::make_unique<Kernel>(text, device, code);
}

static KernelFilter &kernelFilter() {
  static KernelFilter filter;
  return filter;
}

void setKernelFilter(KernelFilter wanted) { kernelFilter() = std::move(wanted); }

bool takes(const std::string &device, std::initializer_list<std::string> texts) {
  static std::map<std::pair<std::string, std::string>, bool> known;
  bool all = true, any = false;
  for (const std::string &text : texts) {
    auto [found, isNew] = known.try_emplace({device, keyOf(text)}, false);
    if (isNew) found->second = withKernel(text, findDevice(device).refusal).empty();
    if (!found->second) Tally::ofProcess().devices[device].refused.insert(keyOf(text));
    all &= found->second;
  }
  if (!all || !kernelFilter()) return all;
  for (const std::string &text : texts) any |= kernelFilter()(device, text);
  return any;
}

const Kernel *kernelIfTaken(const std::string &text, const std::string &device) {
  return takes(device, {text}) ? &cachedKernel(text, device) : nullptr;
}

const std::vector<golden::Golden> &goldensOf(const std::string &text) {
  static std::map<std::string, std::vector<golden::Golden>> made;
  auto [found, isNew] = made.try_emplace(keyOf(text));
  if (!isNew) return found->second;
  useKernel(text, [&](exec::KernelOp kernel) {
    found->second = golden::makeGoldens(kernel, /*gpus=*/true);
    // Some of a tile, and two tiles; but what puts parts together has no more rows than are split, and the bound of a
    // rope table is of positions as small as those of few rows.
    bool few = kernel.getKind() == "attention_combine" || kernel.getKind() == "rope_table";
    for (int64_t rows : few ? std::vector<int64_t>{3} : std::vector<int64_t>{3, 19})
      for (golden::Golden &golden : golden::makeGoldensOfRows(kernel, rows)) found->second.push_back(std::move(golden));
  });
  return found->second;
}

std::vector<float> randomFloats(size_t count, uint32_t seed, float scale) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(count);
  for (float &value : values) value = uniform(generator);
  return values;
}

std::vector<char> packRows(const std::string &scheme, const std::string &element, const std::vector<float> &matrix,
                           int64_t rows, int64_t columns) {
  return golden::packMatrix(findScheme(scheme), element, matrix, rows, columns);
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
