#include "runtime/device/cpu/cpu_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/argmax.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/device/cpu/dispatch_plan.h"
#include "runtime/device/cpu/thread_pool.h"
#include "runtime/device/memory_plan.h"
#include "runtime/device/step_check.h"

#include <algorithm>
#include <cfloat>
#include <cstring>

namespace llmrt {

namespace {

class CpuDevice final : public Device {
public:
  CpuDevice(std::shared_ptr<const Artifact> artifact, CodeTable table, LoadedCode code,
            std::unique_ptr<ThreadPool> pool, std::string tier, CpuProfile *profile)
      : artifact_(std::move(artifact)), table_(std::move(table)), code_(std::move(code)), pool_(std::move(pool)),
        tier_(std::move(tier)), profile_(profile) {}

  std::string description() const override {
    int threads = pool_->threads();
    return "cpu " + tier_ + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  }
  std::string_view target() const override { return kCpuTarget; }
  Status prepare(const Limits &limits) override;
  StepBlock step_block() override;
  Status run(const StepShape &shape) override;
  std::span<const float> logits(int64_t row) const override;
  // One: logits lie in memory, and nothing but the search for the largest is worth sharing between the threads.
  int64_t candidate_count() const override { return 1; }
  std::span<const Candidate> candidates(int64_t row) const override;
  bool gives_hidden() const override { return true; }
  std::span<const float> hidden(int64_t row) const override;
  Status copy_page(int group, int32_t from, int32_t to) override;

private:
  int groups() const { return int(count_of(artifact_->meta().cache_groups())); }
  Status take_memory(const Limits &limits);
  Status run_dispatch(size_t index, const SymbolValues &values);
  Status run_copy(const PlannedDispatch &dispatch, const SymbolValues &values);
  Status run_kernel(const PlannedDispatch &dispatch, const SymbolValues &values);
  void find_candidates(int64_t rows);
  void start_profile();
  void note_dispatch(size_t index, const SymbolValues &values, uint64_t begin);
  void note_run(const StepShape &shape, uint64_t begin);

  std::shared_ptr<const Artifact> artifact_;
  CodeTable table_;
  LoadedCode code_;
  std::unique_ptr<ThreadPool> pool_;
  std::string tier_;
  CpuProfile *profile_;

  Limits limits_;
  bool prepared_ = false;
  os::Mapping step_memory_;                                // arena, step block, scratch of each thread
  std::array<os::Mapping, kMaxCacheGroups> pool_memory_;
  StepMemory memory_;
  StepBlock block_;
  std::byte *scratch_ = nullptr;
  int64_t scratch_bytes_ = 0; // of one thread
  const float *logits_ = nullptr, *hidden_ = nullptr;
  int64_t logits_rows_ = 0, hidden_rows_ = 0; // of the last run
  size_t hidden_width_ = 0;
  std::vector<uint8_t> whole_rows_;   // StepBlock's
  std::vector<Candidate> candidates_; // of the rows that are not
  DispatchPlan plan_;
};

// Sums of sizes; what does not fit into 63 bits stays at the largest value.
int64_t add_or_huge(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// Each part begins on its own page: the verifier counts on operands' bases being aligned to that.
int64_t page_up(int64_t bytes) {
  return add_or_huge(bytes, kMaxOperandAlignment - 1) / kMaxOperandAlignment * kMaxOperandAlignment;
}

// Pages are taken when touched, so the system would say yes to any size and end the program later.
Status check_fits(const MemoryPlan &plan, int64_t step_bytes) {
  int64_t total = step_bytes;
  for (int64_t pool : plan.pool_bytes)
    total = add_or_huge(total, pool);
  uint64_t machine = os::total_memory();
  if (total < INT64_MAX / 2 && (machine == 0 || uint64_t(total) <= machine))
    return ok_status();
  return Status(StatusCode::kExhausted, "a step of this size and its KV cache need " + format_bytes(uint64_t(total)) +
                                            ", this machine has " + format_bytes(machine) +
                                            "; lower --max-num-batched-tokens, --max-num-seqs, --max-model-len or "
                                            "--kv-cache-memory-bytes");
}

Status CpuDevice::take_memory(const Limits &limits) {
  Result<int64_t> scratch = scratch_per_thread(*artifact_, table_, limits);
  if (!scratch)
    return scratch.status();
  scratch_bytes_ = *scratch;
  MemoryPlan plan = plan_memory(*artifact_, kCpuTarget, limits, pool_->threads(), scratch_bytes_);
  int64_t block_at = page_up(plan.arena_bytes);
  int64_t scratch_at = page_up(add_or_huge(block_at, plan.step_block_bytes));
  int64_t step_bytes = add_or_huge(scratch_at, plan.scratch_bytes);
  if (Status status = check_fits(plan, step_bytes); !status.ok())
    return status;
  Result<os::Mapping> memory = os::map_memory(size_t(std::max<int64_t>(step_bytes, 1)), true);
  if (!memory)
    return Status(StatusCode::kExhausted, "memory of a step: " + memory.status().message());
  step_memory_ = *std::move(memory);
  memory_.arena = step_memory_.data();
  memory_.step_block = step_memory_.data() + block_at;
  scratch_ = step_memory_.data() + scratch_at;
  for (int group = 0; group < groups(); ++group) {
    Result<os::Mapping> pool = os::map_memory(size_t(plan.pool_bytes[size_t(group)]), true);
    if (!pool)
      return Status(StatusCode::kExhausted, "pages of the KV cache: " + pool.status().message() +
                                                "; lower --kv-cache-memory-bytes");
    pool_memory_[size_t(group)] = *std::move(pool);
    memory_.pools[size_t(group)] = pool_memory_[size_t(group)].data();
  }
  return ok_status();
}

Status CpuDevice::prepare(const Limits &limits) {
  if (prepared_)
    return Status(StatusCode::kInternal, "the device has been prepared before");
  if (Status status = check_limits(artifact_->meta(), limits); !status.ok())
    return status;
  if (Status status = take_memory(limits); !status.ok())
    return status;
  Result<DispatchPlan> plan = plan_dispatches(*artifact_, table_, code_, limits, memory_);
  if (!plan)
    return plan.status();
  plan_ = *std::move(plan);
  limits_ = limits;
  const schema::Program &program = *find_step(artifact_->meta(), kCpuTarget);
  auto output = [&](uint32_t buffer) {
    std::optional<int64_t> at = evaluate(artifact_->meta().buffers()->Get(buffer)->offset(), symbol_values(limits));
    return at ? reinterpret_cast<const float *>(memory_.arena + *at) : nullptr;
  };
  logits_ = output(program.logits());
  if (program.hidden() >= 0)
    hidden_ = output(uint32_t(program.hidden()));
  if (!logits_ || (program.hidden() >= 0 && !hidden_))
    return Status(StatusCode::kInternal, "the offset of an output overflows");
  hidden_width_ = program.hidden_width();
  block_ = step_block_at(memory_.step_block, limits, groups());
  whole_rows_.assign(size_t(limits.rows), 1);
  candidates_.resize(size_t(limits.rows));
  block_.whole_rows = whole_rows_;
  start_profile();
  prepared_ = true;
  return ok_status();
}

void CpuDevice::start_profile() {
  if (!profile_)
    return;
  const schema::Artifact &meta = artifact_->meta();
  const schema::Program &program = *find_step(meta, kCpuTarget);
  profile_->rows.clear();
  profile_->spans.reserve(profile_->span_limit);
  for (uint32_t i = 0; i < count_of(program.dispatches()); ++i) {
    const schema::KernelDispatch *dispatch = program.dispatches()->Get(i)->op_as_KernelDispatch();
    CpuProfile::Row row;
    row.label = dispatch ? std::string(text_of(dispatch->label())) : "";
    row.kernel = dispatch ? std::string(text_of(meta.kernels()->Get(dispatch->kernel())->name())) : "copy";
    profile_->rows.push_back(std::move(row));
  }
}

StepBlock CpuDevice::step_block() { return block_; }

// What one thread needs to do its share of a dispatch.
struct KernelCall {
  llmrt_kernel function;
  llmrt_dispatch dispatch;
  std::byte *scratch;
  int64_t scratch_bytes;
};

void call_kernel(void *context, int thread, int64_t begin, int64_t end) {
  const KernelCall &call = *static_cast<const KernelCall *>(context);
  llmrt_dispatch dispatch = call.dispatch;
  dispatch.begin = begin;
  dispatch.end = end;
  dispatch.scratch = call.scratch + thread * call.scratch_bytes;
  call.function(&dispatch);
}

Status CpuDevice::run_kernel(const PlannedDispatch &dispatch, const SymbolValues &values) {
  std::array<int64_t, kMaxKernelScalars> scalars;
  for (uint32_t i = 0; i < dispatch.scalar_count; ++i) {
    const PlannedScalar &scalar = plan_.scalars[dispatch.first_scalar + i];
    scalars[i] = scalar.value * values[size_t(scalar.symbol)];
  }
  if (scalars[0] == 0)
    return ok_status();
  // Variants ascend and the last one has no bound.
  const PlannedVariant *variant = &plan_.variants[dispatch.first_variant];
  while (scalars[0] > variant->entry->last_rows)
    ++variant;
  std::optional<int64_t> items = table_.evaluate(variant->entry->items, {scalars.data(), dispatch.scalar_count});
  if (!items || *items < 0)
    return Status(StatusCode::kInternal, "the number of work items of a dispatch overflows");
  KernelCall call{variant->function,
                  {plan_.operands.data() + dispatch.first_operand, scalars.data(), 0, 0, nullptr},
                  scratch_,
                  scratch_bytes_};
  pool_->run(*items, variant->entry->grain, call_kernel, &call);
  return ok_status();
}

Status CpuDevice::run_copy(const PlannedDispatch &dispatch, const SymbolValues &values) {
  std::optional<int64_t> bytes = evaluate(dispatch.copy_bytes, values);
  if (!bytes)
    return Status(StatusCode::kInternal, "the size of a copy overflows");
  if (*bytes > 0)
    std::memmove(plan_.operands[dispatch.first_operand + 1], plan_.operands[dispatch.first_operand], size_t(*bytes));
  return ok_status();
}

Status CpuDevice::run_dispatch(size_t index, const SymbolValues &values) {
  const PlannedDispatch &dispatch = plan_.dispatches[index];
  uint64_t begin = profile_ ? os::monotonic_ns() : 0;
  Status status = dispatch.variant_count > 0 ? run_kernel(dispatch, values) : run_copy(dispatch, values);
  if (profile_)
    note_dispatch(index, values, begin);
  return status;
}

void CpuDevice::note_dispatch(size_t index, const SymbolValues &values, uint64_t begin) {
  const uint64_t end = os::monotonic_ns();
  CpuProfile::Row &row = profile_->rows[index];
  row.nanoseconds += end - begin;
  ++row.runs;
  if (const PlannedDispatch &dispatch = plan_.dispatches[index]; dispatch.scalar_count > 0) {
    const PlannedScalar &rows = plan_.scalars[dispatch.first_scalar];
    row.step_rows += rows.value * values[size_t(rows.symbol)];
  }
  if (profile_->spans.size() < profile_->span_limit)
    profile_->spans.push_back({uint32_t(index), begin, end});
}

void CpuDevice::note_run(const StepShape &shape, uint64_t begin) {
  for (int group = 0; group < groups(); ++group) {
    const schema::CacheGroup &cache = *artifact_->meta().cache_groups()->Get(uint32_t(group));
    const int64_t window = cache.kind() == schema::CacheKind::Window ? int64_t(cache.window()) : INT64_MAX;
    // A sequence's rows lie side by side and ascend: its last row sees the most.
    for (int64_t row = 0; row < shape.tokens; ++row)
      if (row + 1 == shape.tokens || block_.sequence_index[size_t(row + 1)] != block_.sequence_index[size_t(row)])
        profile_->seen_tokens[size_t(group)] += std::min<int64_t>(window, block_.positions[size_t(row)] + 1);
  }
  ++profile_->runs;
  profile_->run_nanoseconds += os::monotonic_ns() - begin;
}

Candidate best_of(std::span<const float> row) {
  int32_t id = argmax(row);
  if (id < 0) // what is not a number comes before all
    id = int32_t(std::find_if(row.begin(), row.end(), [](float logit) { return !(logit <= FLT_MAX); }) - row.begin());
  return {row[size_t(id)], id};
}

void CpuDevice::find_candidates(int64_t rows) {
  const auto whole = std::span(whole_rows_).first(size_t(rows));
  if (std::find(whole.begin(), whole.end(), 0) == whole.end())
    return;
  auto find = [](void *context, int, int64_t begin, int64_t end) {
    CpuDevice &device = *static_cast<CpuDevice *>(context);
    for (int64_t row = begin; row < end; ++row)
      if (!device.whole_rows_[size_t(row)])
        device.candidates_[size_t(row)] = best_of(device.logits(row));
  };
  pool_->run(rows, 1, find, this);
}

Status CpuDevice::run(const StepShape &shape) {
  const uint64_t begin = profile_ ? os::monotonic_ns() : 0;
  if (!prepared_)
    return Status(StatusCode::kInternal, "the device has not been prepared");
  if (Status status = check_step(artifact_->meta(), limits_, shape, block_); !status.ok())
    return status;
  logits_rows_ = hidden_rows_ = 0; // of a step that fails nothing is to be had
  Limits step = limits_;
  step.tokens = shape.tokens;
  step.sequences = shape.sequences;
  step.rows = shape.rows;
  step.hidden_rows = shape.hidden_rows;
  const SymbolValues values = symbol_values(step);
  for (size_t i = 0; i < plan_.dispatches.size(); ++i)
    if (Status status = run_dispatch(i, values); !status.ok())
      return status;
  logits_rows_ = shape.rows;
  hidden_rows_ = hidden_ ? shape.hidden_rows : 0;
  find_candidates(shape.rows);
  if (profile_)
    note_run(shape, begin);
  return ok_status();
}

std::span<const float> CpuDevice::logits(int64_t row) const {
  if (row < 0 || row >= logits_rows_)
    return {};
  size_t vocabulary = artifact_->meta().model()->vocabulary();
  return {logits_ + size_t(row) * vocabulary, vocabulary};
}

std::span<const Candidate> CpuDevice::candidates(int64_t row) const {
  if (row < 0 || row >= logits_rows_ || whole_rows_[size_t(row)])
    return {};
  return {&candidates_[size_t(row)], 1};
}

std::span<const float> CpuDevice::hidden(int64_t row) const {
  if (row < 0 || row >= hidden_rows_)
    return {};
  return {hidden_ + size_t(row) * hidden_width_, hidden_width_};
}

Status CpuDevice::copy_page(int group, int32_t from, int32_t to) {
  if (!prepared_ || group < 0 || group >= groups() || from < 0 || to < 0 || from >= limits_.pages[size_t(group)] ||
      to >= limits_.pages[size_t(group)])
    return Status(StatusCode::kInvalidArgument, "a page to copy does not exist");
  if (from == to)
    return ok_status();
  const schema::CacheGroup &cache = *artifact_->meta().cache_groups()->Get(uint32_t(group));
  size_t page = cache.bytes_per_page_layer();
  for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
    std::byte *pages = memory_.pools[size_t(group)] + size_t(layer) * size_t(limits_.pages[size_t(group)]) * page;
    std::memcpy(pages + size_t(to) * page, pages + size_t(from) * page, page);
  }
  return ok_status();
}

std::string tier_name(const Artifact &artifact, uint32_t segment) {
  return std::string(text_of(artifact.meta().segments()->Get(segment)->layout()));
}

} // namespace

Result<std::unique_ptr<Device>> make_cpu_device(std::shared_ptr<const Artifact> artifact,
                                                const CpuDeviceOptions &options) {
  Result<uint32_t> segment = select_tier(*artifact, detect_cpu(), options.tier);
  if (!segment)
    return Status(segment.status().code(), artifact->path() + ": " + segment.status().message());
  Result<CodeTable> table = CodeTable::parse(artifact->segment(*segment));
  if (!table)
    return table.status();
  Result<LoadedCode> code = LoadedCode::load(*artifact, *segment, *table, options.mode, options.static_kernels);
  if (!code)
    return code.status();
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(options.threads > 0 ? options.threads : os::usable_cpus());
  if (!pool)
    return pool.status();
  std::string tier = tier_name(*artifact, *segment);
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(std::move(artifact), *std::move(table), *std::move(code),
                                                             *std::move(pool), std::move(tier), options.profile));
}

Result<std::string> cpu_tier(const Artifact &artifact, const std::string &tier) {
  Result<uint32_t> segment = select_tier(artifact, detect_cpu(), tier);
  if (!segment)
    return segment.status();
  return tier_name(artifact, *segment);
}

Result<int64_t> cpu_scratch_per_thread(const Artifact &artifact, const std::string &tier, const Limits &limits) {
  Result<uint32_t> segment = select_tier(artifact, detect_cpu(), tier);
  if (!segment)
    return segment.status();
  Result<CodeTable> table = CodeTable::parse(artifact.segment(*segment));
  if (!table)
    return table.status();
  return scratch_per_thread(artifact, *table, limits);
}

} // namespace llmrt
