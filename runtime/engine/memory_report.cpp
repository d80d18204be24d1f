#include "runtime/artifact/random_weights.h"
#include "runtime/artifact/verify.h"
#include "runtime/engine/request_state.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/sizing.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <limits>

namespace llmrt {

namespace {

constexpr int64_t kRequestBytes = 1024; // a request's state, its stop ids and biases, its place in the map of ids
constexpr int64_t kSequenceBytes = 512; // a slot's place in plans and lists
static_assert(sizeof(RequestState) + 256 <= size_t(kRequestBytes));

constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();

int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kLargest : sum;
}

// A sum of coefficient x a x b, as text and as a value. An artifact's own coefficients may be anything: the value stops
// at the largest integer.
class Formula {
public:
  void symbol(std::string name, int64_t value) { symbols_.emplace_back(std::move(name), value); }

  void add(int64_t coefficient, const std::string &a = {}, const std::string &b = {}) {
    if (coefficient == 0) return;
    const auto [first, second] = std::minmax(a, b); // an empty name is 1
    for (Term &term : terms_)
      if (term.a == first && term.b == second) {
        term.coefficient = saturating_add(term.coefficient, coefficient);
        return;
      }
    terms_.push_back({coefficient, first, second});
  }

  int64_t value() const {
    int64_t sum = 0;
    for (const Term &term : terms_) {
      int64_t product = 0;
      if (__builtin_mul_overflow(term.coefficient, value_of(term.a), &product) ||
          __builtin_mul_overflow(product, value_of(term.b), &product) || __builtin_add_overflow(sum, product, &sum))
        return kLargest;
    }
    return sum;
  }

  std::string text() const {
    std::string result;
    for (const Term &term : terms_) {
      if (!result.empty()) result += " + ";
      result += std::to_string(term.coefficient);
      for (const std::string *name : {&term.a, &term.b})
        if (!name->empty()) result += " * " + *name;
    }
    return result;
  }

  std::vector<std::pair<std::string, int64_t>> symbols() const { return symbols_; }

private:
  struct Term {
    int64_t coefficient;
    std::string a, b;
  };

  int64_t value_of(const std::string &name) const {
    if (name.empty()) return 1;
    for (const auto &[symbol, value] : symbols_)
      if (symbol == name) return value;
    return 0;
  }

  std::vector<std::pair<std::string, int64_t>> symbols_;
  std::vector<Term> terms_;
};

std::string symbol_name(schema::Symbol symbol) {
  switch (symbol) {
  case schema::Symbol::One:
    return {};
  case schema::Symbol::Tokens:
    return "tokens";
  case schema::Symbol::Sequences:
    return "sequences";
  case schema::Symbol::Rows:
    return "rows";
  case schema::Symbol::MaxBlocks:
    return "max_blocks";
  case schema::Symbol::HiddenRows:
    return "hidden_rows";
  default:
    return "pages" + std::to_string(int(symbol) - int(schema::Symbol::Pages0));
  }
}

void add_symbols(const schema::Model &model, const Sizing &sizing, const ProcessMemory &process, Formula *sum) {
  const Limits &limits = sizing.limits;
  sum->symbol("tokens", limits.tokens);
  sum->symbol("sequences", limits.sequences);
  sum->symbol("rows", limits.rows);
  sum->symbol("hidden_rows", limits.hidden_rows);
  sum->symbol("max_blocks", limits.max_blocks);
  for (size_t group = 0; group < sizing.groups.size(); ++group)
    sum->symbol("pages" + std::to_string(group), sizing.groups[group].pages);
  sum->symbol("max_model_len", sizing.max_model_len);
  sum->symbol("vocabulary", int64_t(model.vocabulary()));
  sum->symbol("max_queue", sizing.max_queue);
  sum->symbol("max_queue_tokens", sizing.max_queue_tokens);
  sum->symbol("threads", process.threads);
  sum->symbol("scratch_per_thread", process.scratch_per_thread);
  sum->symbol("stack_per_thread", process.stack_per_thread);
}

void add_device(const schema::Artifact &meta, const Sizing &sizing, Formula *sum) {
  if (const schema::Size *arena = arena_of(meta, kCpuTarget); arena && arena->terms())
    for (const schema::Term *term : *arena->terms())
      sum->add(term->coefficient(), symbol_name(term->a()), symbol_name(term->b()));
  sum->add(4 * 3, "tokens"); // the step block
  sum->add(4, "rows");
  sum->add(4, "hidden_rows");
  sum->add(4, "sequences");
  sum->add(4 * int64_t(sizing.groups.size()), "sequences", "max_blocks");
  for (size_t group = 0; group < sizing.groups.size(); ++group)
    sum->add(sizing.groups[group].bytes_per_page, "pages" + std::to_string(group));
  sum->add(1, "threads", "scratch_per_thread");
}

void add_engine(const Sizing &sizing, Formula *sum) {
  const int64_t groups = int64_t(sizing.groups.size());
  sum->add(sizeof(int32_t), "sequences", "max_model_len");                    // the tokens
  sum->add(int64_t(sizeof(PageKey)) + 4 * groups, "sequences", "max_blocks"); // page keys and tables
  sum->add(kSequenceBytes + kRequestBytes + 32 * groups, "sequences");
  sum->add(int64_t(sizeof(double)) * sizing.hidden_width, "sequences"); // pools of hidden states
  for (int64_t group = 0; group < groups; ++group) sum->add(PagePool::kBytesPerPage, "pages" + std::to_string(group));
  sum->add(Sampler::kBytesPerId, "vocabulary");
  sum->add(kRequestBytes, "max_queue");
  sum->add(sizeof(int32_t), "max_queue_tokens");
}

} // namespace

MemoryReport report_memory(const Artifact &artifact, const Sizing &sizing, const ProcessMemory &process) {
  const schema::Artifact &meta = artifact.meta();
  Formula sum;
  add_symbols(*meta.model(), sizing, process, &sum);
  add_device(meta, sizing, &sum);

  // What the device's own plan has beyond the artifact's formulas: rounding to its alignments.
  const MemoryPlan plan =
      plan_memory(artifact, kCpuTarget, sizing.limits, int(process.threads), process.scratch_per_thread);
  int64_t planned = saturating_add(saturating_add(plan.arena_bytes, plan.step_block_bytes), plan.scratch_bytes);
  for (int64_t bytes : plan.pool_bytes) planned = saturating_add(planned, bytes);
  sum.symbol("device_padding", std::max<int64_t>(0, planned - sum.value()));
  sum.add(1, "device_padding");

  add_engine(sizing, &sum);
  if (int64_t made = int64_t(random_weight_bytes(meta))) {
    sum.symbol("made_weights", made);
    sum.add(1, "made_weights");
  }
  sum.add(1, "threads", "stack_per_thread");
  sum.symbol("other", process.other_bytes);
  sum.add(1, "other");

  MemoryReport report;
  report.formula = sum.text();
  report.symbols = sum.symbols();
  report.private_bytes = sum.value();
  report.mapped_bytes = int64_t(artifact.bytes().size());
  for (const GroupSizing &group : sizing.groups) report.kv_bytes_per_page += group.bytes_per_page;
  return report;
}

} // namespace llmrt
