#include "runtime/device/gpu/gpu_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/device/gpu/step_table.h"
#include "runtime/device/memory_plan.h"
#include "runtime/device/step_check.h"

#include <algorithm>

namespace llmrt::gpu {

namespace {

constexpr int64_t kWeightMemory = int64_t(256) << 20; // weights share memory of this size, or have some of their own

class GpuDevice final : public Device {
public:
  GpuDevice(std::shared_ptr<const Artifact> artifact, CodeTable code, std::unique_ptr<Backend> backend)
      : artifact_(std::move(artifact)), code_(std::move(code)), backend_(std::move(backend)),
        program_(*find_step(artifact_->meta(), backend_->target())) {}

  std::string description() const override { return backend_->name(); }
  std::string_view target() const override { return backend_->target(); }
  int64_t memory_budget() const override;
  Status prepare(const Limits &limits) override;
  StepBlock step_block() override { return block_; }
  Status run(const StepShape &shape) override;
  std::span<const float> logits(int64_t row) const override;
  Status fetch_logits(int64_t row) override;
  int64_t candidate_count() const override;
  std::span<const Candidate> candidates(int64_t row) const override;
  bool gives_hidden() const override { return true; }
  std::span<const float> hidden(int64_t row) const override { return hidden_.row(row); }
  Status copy_page(int group, int32_t from, int32_t to) override;

private:
  // Rows of f32 that a step gives back.
  struct Rows {
    Memory memory;
    int64_t at = 0;    // byte in the arena
    int64_t width = 0; // values; 0: the program gives none
    int64_t count = 0; // of the last run

    std::span<const float> row(int64_t index) const {
      if (index < 0 || index >= count || width == 0)
        return {};
      return {reinterpret_cast<const float *>(memory.data) + index * width, size_t(width)};
    }
    Output output(int64_t first, int64_t rows) const {
      return {memory, 4 * first * width, at + 4 * first * width, 4 * rows * width};
    }
  };

  const schema::Artifact &meta() const { return artifact_->meta(); }
  Status take(int64_t bytes, Place place, const char *what, Memory &out);
  Status take_memory();
  Status take_rows(Rows &rows, uint32_t buffer, int64_t width, int64_t count, const char *what);
  Status take_outputs();
  std::span<const Output> outputs_of(const StepShape &shape);
  Status take_pools();
  Status load_weights();
  Status load_group(uint32_t first, uint32_t last);

  std::shared_ptr<const Artifact> artifact_;
  CodeTable code_;
  std::unique_ptr<StepTable> table_; // outlives the backend
  StepMemory memory_;
  std::unique_ptr<Backend> backend_;
  const schema::Program &program_; // the target's step, in the artifact
  Limits limits_;
  std::array<std::vector<Memory>, kMaxCacheGroups> pools_; // of each layer
  StepBlock block_;
  bool prepared_ = false;
  Rows logits_, hidden_, candidates_; // a candidate is two values
  std::vector<uint8_t> whole_rows_;   // StepBlock's
  std::vector<Output> outputs_;       // of a step, with room for those of any
};

// What the weights leave, and no more than a kernel can reach of a layer's pages.
int64_t GpuDevice::memory_budget() const {
  int64_t weights = 0, layers = 0;
  for (uint32_t i = 0; i < count_of(meta().segments()); ++i)
    if (holds_weights(*meta().segments()->Get(i)))
      weights += int64_t(meta().segments()->Get(i)->bytes());
  for (uint32_t i = 0; i < count_of(meta().cache_groups()); ++i)
    layers += int64_t(meta().cache_groups()->Get(i)->layers());
  int64_t free = std::max<int64_t>(backend_->memory_bytes() - weights, 0);
  // The engine takes a quarter of the budget.
  return std::min(free, 4 * layers * backend_->max_operand_bytes());
}

Status GpuDevice::take(int64_t bytes, Place place, const char *what, Memory &out) {
  Result<Memory> memory = backend_->take(bytes, place, what);
  if (!memory)
    return memory.status();
  out = *memory;
  return ok_status();
}

Status GpuDevice::take_memory() {
  MemoryPlan plan = plan_memory(*artifact_, target(), limits_, 1, 0);
  std::optional<int64_t> block_bytes = checked_add(table_->bytes(), plan.step_block_bytes);
  if (plan.arena_bytes == INT64_MAX || !block_bytes)
    return Status(StatusCode::kExhausted, "a step of this size needs more memory than any device has; lower "
                                          "--max-num-batched-tokens, --max-num-seqs or --max-model-len");
  if (Status status = take(plan.arena_bytes, Place::kDevice, "buffers of a step", memory_.arena); !status.ok())
    return status;
  if (Status status = take(*block_bytes, Place::kDevice, "the step block", memory_.block); !status.ok())
    return status;
  if (Status status = take(*block_bytes, Place::kUpload, "the step block", memory_.upload); !status.ok())
    return status;
  if (Status status = take_outputs(); !status.ok())
    return status;
  table_->words = memory_.upload.data;
  table_->memory.arena = {memory_.arena.handle, 0, plan.arena_bytes};
  table_->memory.step_block = {memory_.block.handle, table_->bytes(), plan.step_block_bytes};
  block_ = step_block_at(memory_.upload.data + table_->bytes(), limits_, int(count_of(meta().cache_groups())));
  block_.whole_rows = whole_rows_;
  return take_pools();
}

Status GpuDevice::take_outputs() {
  if (Status status = take_rows(logits_, program_.logits(), meta().model()->vocabulary(), limits_.rows, "logits");
      !status.ok())
    return status;
  if (program_.hidden() >= 0)
    if (Status status = take_rows(hidden_, uint32_t(program_.hidden()), program_.hidden_width(), limits_.hidden_rows,
                                  "hidden states");
        !status.ok())
      return status;
  outputs_.reserve(2);
  if (!program_.candidates())
    return ok_status();
  static_assert(sizeof(Candidate) == 8);
  whole_rows_.assign(size_t(limits_.rows), 1);
  outputs_.reserve(size_t(limits_.rows) / 2 + 3); // runs of whole rows, the hidden states, the candidates
  return take_rows(candidates_, program_.candidates()->buffer(), 2 * candidate_count(), limits_.rows, "candidates");
}

int64_t GpuDevice::candidate_count() const {
  const schema::Candidates *candidates = program_.candidates();
  return candidates ? int64_t(candidates->count()) : 0;
}

Status GpuDevice::take_rows(Rows &rows, uint32_t buffer, int64_t width, int64_t count, const char *what) {
  std::optional<int64_t> at = evaluate(meta().buffers()->Get(buffer)->offset(), symbol_values(limits_));
  std::optional<int64_t> bytes = checked_multiply(count, 4 * width);
  if (!at || !bytes)
    return Status(StatusCode::kExhausted, "the outputs of a step overflow; lower --max-num-seqs or "
                                          "--max-num-batched-tokens");
  rows.at = *at;
  rows.width = width;
  return *bytes > 0 ? take(*bytes, Place::kDownload, what, rows.memory) : ok_status();
}

// Pages are zero at first: a masked key has weight 0, which must not meet a NaN.
Status GpuDevice::take_pools() {
  for (uint32_t group = 0; group < count_of(meta().cache_groups()); ++group) {
    const schema::CacheGroup &cache = *meta().cache_groups()->Get(group);
    std::optional<int64_t> bytes = checked_multiply(int64_t(cache.bytes_per_page_layer()), limits_.pages[group]);
    if (!bytes)
      return Status(StatusCode::kExhausted, "the pages of the KV cache overflow; lower --kv-cache-memory-bytes");
    for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
      Memory memory;
      if (Status status = take(*bytes, Place::kDevice, "pages of the KV cache", memory); !status.ok())
        return status;
      if (Status status = backend_->clear(memory); !status.ok())
        return status;
      table_->memory.pools[group].push_back({memory.handle, 0, *bytes});
      pools_[group].push_back(memory);
    }
  }
  return ok_status();
}

// Weights [first, last) of one segment, which lie side by side, into memory of their own.
Status GpuDevice::load_group(uint32_t first, uint32_t last) {
  const schema::Weight &begin = *meta().weights()->Get(first);
  uint64_t start = begin.offset(), end = start;
  for (uint32_t i = first; i < last; ++i)
    end = std::max(end, meta().weights()->Get(i)->offset() + meta().weights()->Get(i)->bytes());
  Memory memory;
  if (Status status = take(int64_t(end - start), Place::kDevice, "weights", memory); !status.ok())
    return status;
  std::span<const std::byte> bytes = artifact_->segment(begin.segment()).subspan(start, end - start);
  if (Status status = backend_->upload(bytes, memory); !status.ok())
    return status;
  for (uint32_t i = first; i < last; ++i) {
    const schema::Weight &weight = *meta().weights()->Get(i);
    table_->memory.weights.push_back({memory.handle, int64_t(weight.offset() - start), int64_t(weight.bytes())});
  }
  return ok_status();
}

Status GpuDevice::load_weights() {
  uint32_t count = count_of(meta().weights());
  for (uint32_t first = 0; first < count;) {
    const schema::Weight &begin = *meta().weights()->Get(first);
    uint32_t last = first + 1;
    for (; last < count; ++last) {
      const schema::Weight &next = *meta().weights()->Get(last);
      if (next.segment() != begin.segment() || next.offset() < begin.offset() ||
          next.offset() + next.bytes() - begin.offset() > uint64_t(kWeightMemory))
        break;
    }
    if (Status status = load_group(first, last); !status.ok())
      return status;
    first = last;
  }
  return ok_status();
}

Status GpuDevice::prepare(const Limits &limits) {
  if (prepared_)
    return Status(StatusCode::kInternal, "the device has been prepared before");
  if (Status status = check_limits(meta(), limits); !status.ok())
    return status;
  limits_ = limits;
  Result<std::unique_ptr<StepTable>> table =
      StepTable::create(*artifact_, program_, code_, limits, backend_->row_alignment());
  if (!table)
    return table.status();
  table_ = *std::move(table);
  if (Status status = take_memory(); !status.ok())
    return status;
  if (Status status = load_weights(); !status.ok())
    return status;
  if (Status status = backend_->record(*table_, memory_); !status.ok())
    return status;
  prepared_ = true;
  return ok_status();
}

Status GpuDevice::run(const StepShape &shape) {
  if (!prepared_)
    return Status(StatusCode::kInternal, "the device has not been prepared");
  if (Status status = check_step(meta(), limits_, shape, block_); !status.ok())
    return status;
  logits_.count = candidates_.count = hidden_.count = 0; // of a step that fails nothing is to be had
  std::span<const uint8_t> whole = std::span(whole_rows_).first(std::min(size_t(shape.rows), whole_rows_.size()));
  if (Status status = table_->fill(shape, std::find(whole.begin(), whole.end(), 0) != whole.end()); !status.ok())
    return status;
  if (Status status = backend_->run(shape.tokens, outputs_of(shape)); !status.ok())
    return status;
  logits_.count = candidates_.count = shape.rows;
  hidden_.count = shape.hidden_rows;
  return ok_status();
}

// Runs of rows that are wanted whole, and where there are others the candidates of all: a few bytes.
std::span<const Output> GpuDevice::outputs_of(const StepShape &shape) {
  auto is_whole = [this](int64_t row) { return whole_rows_.empty() || whole_rows_[size_t(row)]; };
  outputs_.assign({hidden_.output(0, shape.hidden_rows)});
  bool all = true;
  for (int64_t row = 0, end; row < shape.rows; row = end) {
    for (end = row; end < shape.rows && is_whole(end);)
      ++end;
    if (end > row)
      outputs_.push_back(logits_.output(row, end - row));
    for (; end < shape.rows && !is_whole(end); ++end)
      all = false;
  }
  if (!all)
    outputs_.push_back(candidates_.output(0, shape.rows));
  return outputs_;
}

std::span<const float> GpuDevice::logits(int64_t row) const {
  std::span<const float> values = logits_.row(row);
  return values.empty() || whole_rows_.empty() || whole_rows_[size_t(row)] ? values : std::span<const float>();
}

std::span<const Candidate> GpuDevice::candidates(int64_t row) const {
  std::span<const float> values = candidates_.row(row);
  if (values.empty() || whole_rows_[size_t(row)])
    return {};
  return {reinterpret_cast<const Candidate *>(values.data()), values.size() / 2};
}

Status GpuDevice::fetch_logits(int64_t row) {
  if (logits_.row(row).empty())
    return Status(StatusCode::kInvalidArgument, "a row to fetch does not exist");
  if (whole_rows_.empty() || whole_rows_[size_t(row)])
    return ok_status();
  const Output output = logits_.output(row, 1);
  if (Status status = backend_->fetch({&output, 1}); !status.ok())
    return status;
  whole_rows_[size_t(row)] = 1;
  return ok_status();
}

Status GpuDevice::copy_page(int group, int32_t from, int32_t to) {
  if (!prepared_ || group < 0 || group >= int(count_of(meta().cache_groups())) || from < 0 || to < 0 ||
      from >= limits_.pages[size_t(group)] || to >= limits_.pages[size_t(group)])
    return Status(StatusCode::kInvalidArgument, "a page to copy does not exist");
  if (from == to)
    return ok_status();
  int64_t page = int64_t(meta().cache_groups()->Get(uint32_t(group))->bytes_per_page_layer());
  return backend_->copy(pools_[size_t(group)], from * page, to * page, page);
}

} // namespace

std::unique_ptr<Device> make_device(std::shared_ptr<const Artifact> artifact, CodeTable code,
                                    std::unique_ptr<Backend> backend) {
  return std::make_unique<GpuDevice>(std::move(artifact), std::move(code), std::move(backend));
}

} // namespace llmrt::gpu
