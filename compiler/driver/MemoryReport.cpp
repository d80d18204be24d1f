#include "compiler/driver/MemoryReport.h"

#include "runtime/artifact/code_table.h"
#include "runtime/artifact/polynomial.h"
#include "runtime/artifact/random_weights.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace llmc {
namespace {

namespace schema = llmrt::schema;
using schema::Symbol;

// The largest integer where the product or the sum is more.
int64_t times(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
int64_t plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// ---- a sum of coefficient x a x b ------------------------------------------------------------------------------------

class Sum {
public:
  void symbol(const std::string &name, int64_t value) { symbols.emplace_back(name, value); }
  void add(int64_t coefficient, std::string a = "", std::string b = "") {
    if (coefficient == 0) return;
    if (b < a) std::swap(a, b);
    for (Term &term : terms)
      if (term.a == a && term.b == b) {
        term.coefficient += coefficient;
        return;
      }
    terms.push_back({coefficient, a, b});
  }
  int64_t value() const {
    int64_t total = 0;
    for (const Term &term : terms) total = plus(total, times(times(term.coefficient, of(term.a)), of(term.b)));
    return total;
  }
  std::string text() const {
    std::string result;
    for (const Term &term : terms) {
      result += (result.empty() ? "" : " + ") + std::to_string(term.coefficient);
      for (const std::string *name : {&term.a, &term.b})
        if (!name->empty()) result += " * " + *name;
    }
    return result;
  }
  std::vector<std::pair<std::string, int64_t>> symbols;

private:
  struct Term {
    int64_t coefficient;
    std::string a, b;
  };
  int64_t of(const std::string &name) const {
    if (name.empty()) return 1;
    for (const auto &[symbol, value] : symbols)
      if (symbol == name) return value;
    return 0;
  }
  std::vector<Term> terms;
};

// ---- the default limits (docs/memory.md, Sizes) ----------------------------------------------------------------------

struct Group {
  int64_t window, bytesPerPage, pages;
};
struct Limits {
  int64_t tokens, sequences, rows, hiddenRows, hiddenWidth, maxModelLen, maxBlocks;
  int64_t pageTokens = 16;
  std::vector<Group> groups;
};

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t pagesOfOne(const Group &group, const Limits &limits, int64_t length) {
  int64_t all = ceilDiv(length, limits.pageTokens);
  return group.window > 0 ? std::min(all, ceilDiv(group.window + limits.tokens, limits.pageTokens) + 1) : all;
}
int64_t bytesOfOne(const Limits &limits, int64_t length) {
  int64_t bytes = 0;
  for (const Group &group : limits.groups)
    bytes = plus(bytes, times(pagesOfOne(group, limits, length), group.bytesPerPage));
  return bytes;
}

void sizePools(Limits &limits, int64_t budget) {
  int64_t low = 0, high = limits.maxModelLen; // the longest sequence that the budget holds
  while (low < high) {
    int64_t middle = low + (high - low + 1) / 2;
    if (bytesOfOne(limits, middle) <= budget) low = middle;
    else high = middle - 1;
  }
  limits.maxModelLen = low;
  int64_t one = std::max<int64_t>(1, bytesOfOne(limits, low));
  for (Group &group : limits.groups) {
    int64_t pages = pagesOfOne(group, limits, low);
    int64_t share = int64_t(std::min<unsigned __int128>((unsigned __int128)(pages) * uint64_t(budget) / uint64_t(one),
                                                        uint64_t(1) << 62));
    group.pages = std::min(std::max(pages, share), pages * limits.sequences);
  }
}

Limits defaultLimits(const schema::Artifact &meta, int64_t availableBytes) {
  const schema::Model &model = *meta.model();
  Limits limits;
  limits.tokens = int64_t(model.default_max_num_batched_tokens());
  limits.sequences = int64_t(model.default_max_num_seqs());
  limits.rows = std::min(limits.sequences, limits.tokens);
  const schema::Program &step = *llmrt::find_step(meta, llmrt::kCpuTarget);
  limits.hiddenRows = step.hidden() >= 0 ? limits.tokens : 0; // as the server is started
  limits.hiddenWidth = int64_t(step.hidden_width());
  limits.maxModelLen = int64_t(model.default_max_model_len());
  for (uint32_t i = 0; i < llmrt::count_of(meta.cache_groups()); ++i) {
    const schema::CacheGroup &group = *meta.cache_groups()->Get(i);
    limits.pageTokens = group.page_tokens();
    limits.groups.push_back({group.kind() == schema::CacheKind::Window ? group.window() : 0,
                             int64_t(group.layers()) * int64_t(group.bytes_per_page_layer()), 0});
  }
  if (!limits.groups.empty()) sizePools(limits, (availableBytes > 0 ? availableBytes : int64_t(4) << 30) / 4);
  limits.maxBlocks = ceilDiv(limits.maxModelLen, limits.pageTokens);
  return limits;
}

llmrt::SymbolValues symbolValues(const Limits &limits) {
  llmrt::SymbolValues values{};
  values[size_t(Symbol::One)] = 1;
  values[size_t(Symbol::Tokens)] = limits.tokens;
  values[size_t(Symbol::Sequences)] = limits.sequences;
  values[size_t(Symbol::Rows)] = limits.rows;
  values[size_t(Symbol::MaxBlocks)] = limits.maxBlocks;
  values[size_t(Symbol::HiddenRows)] = limits.hiddenRows;
  for (size_t i = 0; i < limits.groups.size(); ++i) values[size_t(Symbol::Pages0) + i] = limits.groups[i].pages;
  return values;
}

// ---- scratch: the most any kernel of any tier needs a thread ---------------------------------------------------------

int64_t scratchOf(const llmrt::CodeTable &table, const schema::Artifact &meta, const llmrt::SymbolValues &values) {
  int64_t most = 0;
  for (const schema::DispatchEntry *entry : *llmrt::find_step(meta, llmrt::kCpuTarget)->dispatches()) {
    const auto *dispatch = entry->op_as_KernelDispatch();
    if (!dispatch) continue;
    std::vector<int64_t> scalars;
    for (const schema::Scalar *scalar : *dispatch->scalars())
      scalars.push_back(times(scalar->value(), values[size_t(scalar->symbol())]));
    const auto &id = *meta.kernels()->Get(dispatch->kernel())->id();
    int64_t rows = scalars.empty() ? 0 : scalars[0];
    for (const llmrt_kernel_entry &variant : table.find({id.data(), id.size()})) {
      if (!scalars.empty()) scalars[0] = std::min(rows, variant.last_rows); // the most rows it is called with
      most = std::max(most, table.evaluate(variant.scratch, scalars).value_or(0));
    }
  }
  return (most + 63) / 64 * 64;
}

llvm::Expected<int64_t> scratchPerThread(const llmrt::Artifact &artifact, const llmrt::SymbolValues &values) {
  int64_t most = 0;
  const auto &segments = *artifact.meta().segments();
  for (uint32_t i = 0; i < segments.size(); ++i) {
    if (!llmrt::is_cpu_code(*segments.Get(i))) continue;
    auto table = llmrt::CodeTable::parse(artifact.segment(i));
    if (!table) return llvm::createStringError(table.status().message());
    most = std::max(most, scratchOf(*table, artifact.meta(), values));
  }
  return most;
}

// ---- the report (docs/memory.md, Private memory) ---------------------------------------------------------------------

std::string symbolName(Symbol symbol) {
  constexpr const char *names[] = {"", "tokens", "sequences", "rows", "max_blocks"};
  if (symbol == Symbol::HiddenRows) return "hidden_rows";
  return symbol < Symbol::Pages0 ? names[size_t(symbol)]
                                 : "pages" + std::to_string(size_t(symbol) - size_t(Symbol::Pages0));
}

// Every array of the step block starts at a multiple of 64 bytes.
int64_t stepBlockPadding(const Limits &limits) {
  auto padding = [](int64_t count) { return (64 - count * 4 % 64) % 64; };
  return 3 * padding(limits.tokens) + padding(limits.rows) + padding(limits.hiddenRows) + padding(limits.sequences) +
         int64_t(limits.groups.size()) * padding(limits.sequences * limits.maxBlocks);
}

void addDevice(Sum &sum, const schema::Artifact &meta, const Limits &limits) {
  if (const schema::Size *arena = llmrt::arena_of(meta, llmrt::kCpuTarget); arena && arena->terms())
    for (const schema::Term *term : *arena->terms())
      sum.add(term->coefficient(), symbolName(term->a()), symbolName(term->b()));
  int64_t groups = int64_t(limits.groups.size());
  sum.add(4 * 3, "tokens");
  sum.add(4, "rows");
  sum.add(4, "hidden_rows");
  sum.add(4, "sequences");
  sum.add(4 * groups, "sequences", "max_blocks");
  for (size_t i = 0; i < limits.groups.size(); ++i) sum.add(limits.groups[i].bytesPerPage, "pages" + std::to_string(i));
  sum.add(1, "threads", "scratch_per_thread");
  sum.symbol("device_padding", stepBlockPadding(limits));
  sum.add(1, "device_padding");
}

void addEngine(Sum &sum, const Limits &limits) {
  int64_t groups = int64_t(limits.groups.size());
  sum.add(4, "sequences", "max_model_len");
  sum.add(32 + 4 * groups, "sequences", "max_blocks");
  sum.add(1536 + 32 * groups + (limits.hiddenRows > 0 ? 8 * limits.hiddenWidth : 0), "sequences");
  for (size_t i = 0; i < limits.groups.size(); ++i) sum.add(72, "pages" + std::to_string(i));
  sum.add(37, "vocabulary");
  sum.add(1024, "max_queue");
  sum.add(4, "max_queue_tokens");
  sum.add(1, "threads", "stack_per_thread");
  sum.add(1, "other");
}

} // namespace

llvm::Expected<MemoryReport> reportMemory(const llmrt::Artifact &artifact, int64_t availableBytes, int64_t threads) {
  const schema::Artifact &meta = artifact.meta();
  Limits limits = defaultLimits(meta, availableBytes);
  auto scratch = scratchPerThread(artifact, symbolValues(limits));
  if (!scratch) return scratch.takeError();
  Sum sum;
  sum.symbol("tokens", limits.tokens);
  sum.symbol("sequences", limits.sequences);
  sum.symbol("rows", limits.rows);
  sum.symbol("hidden_rows", limits.hiddenRows);
  sum.symbol("max_blocks", limits.maxBlocks);
  for (size_t i = 0; i < limits.groups.size(); ++i) sum.symbol("pages" + std::to_string(i), limits.groups[i].pages);
  sum.symbol("max_model_len", limits.maxModelLen);
  sum.symbol("vocabulary", meta.model()->vocabulary());
  sum.symbol("max_queue", 4096);
  sum.symbol("max_queue_tokens", std::max<int64_t>(1 << 20, limits.maxModelLen));
  sum.symbol("threads", threads);
  sum.symbol("scratch_per_thread", *scratch);
  sum.symbol("stack_per_thread", 1 << 20);
  sum.symbol("other", 24 << 20);
  addDevice(sum, meta, limits);
  addEngine(sum, limits);
  if (auto made = int64_t(llmrt::random_weight_bytes(meta))) {
    sum.symbol("made_weights", made);
    sum.add(1, "made_weights");
  }
  MemoryReport report{sum.text(), sum.symbols, int64_t(artifact.bytes().size()), sum.value(), 0};
  for (const Group &group : limits.groups) report.kvBytesPerPage += group.bytesPerPage;
  return report;
}

std::string memoryJson(const MemoryReport &report) {
  nlohmann::ordered_json symbols = nlohmann::ordered_json::object();
  for (const auto &[name, value] : report.symbols) symbols[name] = value;
  return nlohmann::ordered_json{{"formula", report.formula}, {"symbols", symbols}, {"mapped_bytes", report.mappedBytes},
                                {"private_bytes", report.privateBytes}, {"kv_bytes_per_page", report.kvBytesPerPage}}
             .dump() + "\n";
}

std::string memoryText(const MemoryReport &report) {
  std::string text = "private bytes = " + report.formula + "\n";
  for (const auto &[name, value] : report.symbols) text += "  " + name + " = " + std::to_string(value) + "\n";
  return text + "  = " + std::to_string(report.privateBytes) + " (" +
         llmrt::format_bytes(uint64_t(report.privateBytes)) + ")\nmapped: " +
         llmrt::format_bytes(uint64_t(report.mappedBytes)) + " of the artifact\na KV page: " +
         llmrt::format_bytes(uint64_t(report.kvBytesPerPage)) + "\n";
}

} // namespace llmc
