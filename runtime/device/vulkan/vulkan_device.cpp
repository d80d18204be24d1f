#include "runtime/device/vulkan/vulkan_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/device/memory_plan.h"
#include "runtime/device/step_check.h"
#include "runtime/device/vulkan/vulkan_program.h"

#include <algorithm>

namespace llmrt {

namespace {

using vk::Buffer;
using vk::Place;

constexpr int64_t kWeightBuffer = int64_t(256) << 20; // weights share buffers of this size, or have one of their own
constexpr int64_t kStaging = int64_t(16) << 20;

std::optional<uint32_t> vulkan_segment(const Artifact &artifact) {
  for (uint32_t i = 0; i < count_of(artifact.meta().segments()); ++i)
    if (is_code_of(*artifact.meta().segments()->Get(i), kVulkanTarget))
      return i;
  return std::nullopt;
}

class VulkanDevice final : public Device {
public:
  VulkanDevice(std::shared_ptr<const Artifact> artifact, CodeTable table, std::unique_ptr<vk::Context> context)
      : artifact_(std::move(artifact)), table_(std::move(table)), context_(std::move(context)) {}

  std::string description() const override { return "vulkan " + context_->name(); }
  int64_t memory_budget() const override;
  Status prepare(const Limits &limits) override;
  StepBlock step_block() override { return block_; }
  Status run(const StepShape &shape) override;
  std::span<const float> logits(int64_t row) const override;
  bool gives_hidden() const override { return true; }
  std::span<const float> hidden(int64_t row) const override;
  Status copy_page(int group, int32_t from, int32_t to) override;

private:
  const schema::Artifact &meta() const { return artifact_->meta(); }
  Status take(int64_t bytes, Place place, const char *what, Buffer &out);
  Status take_memory();
  Status take_pools();
  Status load_weights();
  Status load_group(uint32_t first, uint32_t last);
  Status record_step();
  Result<int64_t> place_of(uint32_t buffer) const;
  Status record_outputs(const StepShape &shape);

  std::shared_ptr<const Artifact> artifact_;
  CodeTable table_;
  std::unique_ptr<vk::Context> context_;

  Limits limits_;
  bool prepared_ = false;
  Buffer arena_, step_block_, step_upload_, logits_, hidden_;
  std::vector<Buffer> weights_;
  std::array<std::vector<Buffer>, kMaxCacheGroups> pools_; // a buffer a layer
  vk::DeviceMemory memory_;
  std::unique_ptr<vk::Program> program_;
  vk::Dispatchable step_commands_ = nullptr, output_commands_ = nullptr;
  StepBlock block_;
  int64_t logits_at_ = 0, hidden_at_ = 0;     // in the arena
  int64_t logits_rows_ = 0, hidden_rows_ = 0; // of the last run
  int64_t hidden_width_ = 0;                  // 0: the program gives none
};

// What the weights leave, and no more than a layer's pages can be bound.
int64_t VulkanDevice::memory_budget() const {
  int64_t weights = 0, layers = 0;
  for (uint32_t i = 0; i < count_of(meta().segments()); ++i)
    if (meta().segments()->Get(i)->kind() == schema::SegmentKind::Weights)
      weights += int64_t(meta().segments()->Get(i)->bytes());
  for (uint32_t i = 0; i < count_of(meta().cache_groups()); ++i)
    layers += int64_t(meta().cache_groups()->Get(i)->layers());
  int64_t free = std::max<int64_t>(context_->memory_bytes() - weights, 0);
  // The engine takes a quarter of the budget.
  return std::min(free, 4 * layers * int64_t(context_->properties().limits.max_storage_buffer_range));
}

Status VulkanDevice::take(int64_t bytes, Place place, const char *what, Buffer &out) {
  Result<Buffer> buffer = Buffer::create(*context_, bytes, place, what);
  if (!buffer)
    return buffer.status();
  out = *std::move(buffer);
  return ok_status();
}

Status VulkanDevice::take_memory() {
  MemoryPlan plan = plan_memory(*artifact_, limits_, 1, 0);
  if (plan.arena_bytes == INT64_MAX || plan.step_block_bytes == INT64_MAX)
    return Status(StatusCode::kExhausted, "a step of this size needs more memory than any device has; lower "
                                          "--max-num-batched-tokens, --max-num-seqs or --max-model-len");
  std::optional<int64_t> logits_bytes =
      checked_multiply(limits_.rows, 4 * int64_t(meta().model()->vocabulary()));
  std::optional<int64_t> hidden_bytes = checked_multiply(limits_.hidden_rows, 4 * hidden_width_);
  if (!logits_bytes || !hidden_bytes)
    return Status(StatusCode::kExhausted, "the outputs of a step overflow; lower --max-num-seqs or "
                                          "--max-num-batched-tokens");
  if (Status status = take(plan.arena_bytes, Place::kDevice, "buffers of a step", arena_); !status.ok())
    return status;
  if (Status status = take(plan.step_block_bytes, Place::kDevice, "the step block", step_block_); !status.ok())
    return status;
  if (Status status = take(plan.step_block_bytes, Place::kUpload, "the step block", step_upload_); !status.ok())
    return status;
  if (Status status = take(*logits_bytes, Place::kDownload, "logits", logits_); !status.ok())
    return status;
  if (*hidden_bytes > 0)
    if (Status status = take(*hidden_bytes, Place::kDownload, "hidden states", hidden_); !status.ok())
      return status;
  memory_.arena = {arena_.handle(), 0, arena_.bytes()};
  memory_.step_block = {step_block_.handle(), 0, step_block_.bytes()};
  block_ = step_block_at(step_upload_.data(), limits_, int(count_of(meta().cache_groups())));
  return take_pools();
}

// Pages are zero at first: a masked key has weight 0, which must not meet a NaN.
Status VulkanDevice::take_pools() {
  for (uint32_t group = 0; group < count_of(meta().cache_groups()); ++group) {
    const schema::CacheGroup &cache = *meta().cache_groups()->Get(group);
    std::optional<int64_t> bytes = checked_multiply(int64_t(cache.bytes_per_page_layer()), limits_.pages[group]);
    if (!bytes)
      return Status(StatusCode::kExhausted, "the pages of the KV cache overflow; lower --kv-cache-memory-bytes");
    for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
      Buffer buffer;
      if (Status status = take(*bytes, Place::kDevice, "pages of the KV cache", buffer); !status.ok())
        return status;
      if (Status status = vk::clear(*context_, buffer); !status.ok())
        return status;
      memory_.pools[group].push_back({buffer.handle(), 0, *bytes});
      pools_[group].push_back(std::move(buffer));
    }
  }
  return ok_status();
}

// Weights [first, last) of one segment, which lie side by side, into a buffer.
Status VulkanDevice::load_group(uint32_t first, uint32_t last) {
  const schema::Weight &begin = *meta().weights()->Get(first);
  uint64_t start = begin.offset(), end = start;
  for (uint32_t i = first; i < last; ++i)
    end = std::max(end, meta().weights()->Get(i)->offset() + meta().weights()->Get(i)->bytes());
  Buffer buffer, staging;
  if (Status status = take(int64_t(end - start), Place::kDevice, "weights", buffer); !status.ok())
    return status;
  if (Status status = take(std::min(kStaging, int64_t(end - start)), Place::kUpload, "weights on their way", staging);
      !status.ok())
    return status;
  std::span<const std::byte> bytes = artifact_->segment(begin.segment()).subspan(start, end - start);
  if (Status status = vk::upload(*context_, bytes, buffer, staging); !status.ok())
    return status;
  for (uint32_t i = first; i < last; ++i) {
    const schema::Weight &weight = *meta().weights()->Get(i);
    memory_.weights.push_back({buffer.handle(), int64_t(weight.offset() - start), int64_t(weight.bytes())});
  }
  weights_.push_back(std::move(buffer));
  return ok_status();
}

Status VulkanDevice::load_weights() {
  uint32_t count = count_of(meta().weights());
  for (uint32_t first = 0; first < count;) {
    const schema::Weight &begin = *meta().weights()->Get(first);
    uint32_t last = first + 1;
    for (; last < count; ++last) {
      const schema::Weight &next = *meta().weights()->Get(last);
      if (next.segment() != begin.segment() || next.offset() < begin.offset() ||
          next.offset() + next.bytes() - begin.offset() > uint64_t(kWeightBuffer))
        break;
    }
    if (Status status = load_group(first, last); !status.ok())
      return status;
    first = last;
  }
  return ok_status();
}

Status VulkanDevice::record_step() {
  Result<vk::Dispatchable> step = context_->new_commands();
  if (!step)
    return step.status();
  Result<vk::Dispatchable> outputs = context_->new_commands();
  if (!outputs)
    return outputs.status();
  step_commands_ = *step;
  output_commands_ = *outputs;
  if (Status status = context_->begin(step_commands_); !status.ok())
    return status;
  vk::BufferCopy copy{0, 0, vk::Size(step_upload_.bytes())};
  context_->api().CmdCopyBuffer(step_commands_, step_upload_.handle(), step_block_.handle(), 1, &copy);
  program_->record(step_commands_);
  return context_->end(step_commands_);
}

Result<int64_t> VulkanDevice::place_of(uint32_t buffer) const {
  std::optional<int64_t> at = evaluate(meta().buffers()->Get(buffer)->offset(), symbol_values(limits_));
  if (!at)
    return Status(StatusCode::kInternal, "the offset of an output overflows");
  return *at;
}

Status VulkanDevice::prepare(const Limits &limits) {
  if (prepared_)
    return Status(StatusCode::kInternal, "the device has been prepared before");
  if (Status status = check_limits(meta(), limits); !status.ok())
    return status;
  limits_ = limits;
  const schema::Program &step = *find_program(meta(), "step");
  hidden_width_ = step.hidden() >= 0 ? int64_t(step.hidden_width()) : 0;
  if (Status status = take_memory(); !status.ok())
    return status;
  if (Status status = load_weights(); !status.ok())
    return status;
  auto program = vk::Program::create(*context_, *artifact_, table_, limits_, memory_);
  if (!program)
    return program.status();
  program_ = *std::move(program);
  Result<int64_t> logits = place_of(step.logits());
  Result<int64_t> hidden = hidden_width_ > 0 ? place_of(uint32_t(step.hidden())) : 0;
  if (!logits || !hidden)
    return logits ? hidden.status() : logits.status();
  logits_at_ = *logits;
  hidden_at_ = *hidden;
  if (Status status = record_step(); !status.ok())
    return status;
  prepared_ = true;
  return ok_status();
}

// The only commands that change with the step: how many rows come back.
Status VulkanDevice::record_outputs(const StepShape &shape) {
  if (Status status = context_->begin(output_commands_); !status.ok())
    return status;
  const vk::Api &api = context_->api();
  auto copy = [&](int64_t at, int64_t values, const Buffer &to) {
    vk::BufferCopy region{vk::Size(at), 0, vk::Size(values * 4)};
    if (values > 0)
      api.CmdCopyBuffer(output_commands_, arena_.handle(), to.handle(), 1, &region);
  };
  copy(logits_at_, shape.rows * int64_t(meta().model()->vocabulary()), logits_);
  copy(hidden_at_, shape.hidden_rows * hidden_width_, hidden_);
  vk::MemoryBarrier barrier;
  barrier.from = vk::kAccessTransferWrite;
  barrier.to = vk::kAccessHostRead;
  api.CmdPipelineBarrier(output_commands_, vk::kStageTransfer, vk::kStageHost, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  return context_->end(output_commands_);
}

Status VulkanDevice::run(const StepShape &shape) {
  if (!prepared_)
    return Status(StatusCode::kInternal, "the device has not been prepared");
  if (Status status = check_step(meta(), limits_, shape, block_); !status.ok())
    return status;
  Limits step = limits_;
  step.tokens = shape.tokens;
  step.sequences = shape.sequences;
  step.rows = shape.rows;
  step.hidden_rows = shape.hidden_rows;
  if (Status status = program_->fill(symbol_values(step)); !status.ok())
    return status;
  std::array<vk::Dispatchable, 2> commands{step_commands_, output_commands_};
  const bool outputs = shape.rows > 0 || (shape.hidden_rows > 0 && hidden_width_ > 0);
  if (outputs)
    if (Status status = record_outputs(shape); !status.ok())
      return status;
  if (Status status = context_->run(commands.data(), outputs ? 2 : 1); !status.ok())
    return status;
  logits_rows_ = shape.rows;
  hidden_rows_ = hidden_width_ > 0 ? shape.hidden_rows : 0;
  return ok_status();
}

std::span<const float> VulkanDevice::logits(int64_t row) const {
  if (row < 0 || row >= logits_rows_)
    return {};
  size_t vocabulary = meta().model()->vocabulary();
  return {reinterpret_cast<const float *>(logits_.data()) + size_t(row) * vocabulary, vocabulary};
}

std::span<const float> VulkanDevice::hidden(int64_t row) const {
  if (row < 0 || row >= hidden_rows_)
    return {};
  return {reinterpret_cast<const float *>(hidden_.data()) + row * hidden_width_, size_t(hidden_width_)};
}

Status VulkanDevice::copy_page(int group, int32_t from, int32_t to) {
  if (!prepared_ || group < 0 || group >= int(count_of(meta().cache_groups())) || from < 0 || to < 0 ||
      from >= limits_.pages[size_t(group)] || to >= limits_.pages[size_t(group)])
    return Status(StatusCode::kInvalidArgument, "a page to copy does not exist");
  if (from == to)
    return ok_status();
  vk::Size page = meta().cache_groups()->Get(uint32_t(group))->bytes_per_page_layer();
  return context_->run_once([&](vk::Dispatchable commands) {
    vk::BufferCopy copy{vk::Size(from) * page, vk::Size(to) * page, page};
    for (const Buffer &layer : pools_[size_t(group)])
      context_->api().CmdCopyBuffer(commands, layer.handle(), layer.handle(), 1, &copy);
    vk::full_barrier(*context_, commands);
  });
}

} // namespace

bool has_vulkan_code(const Artifact &artifact) { return vulkan_segment(artifact).has_value(); }

std::vector<std::string> vulkan_devices() {
  std::vector<std::string> names;
  for (const vk::DeviceInfo &device : vk::Context::list())
    names.push_back(device.name + " (" + vk::type_text(device.type) + ")");
  return names;
}

bool has_vulkan_hardware() {
  std::vector<vk::DeviceInfo> devices = vk::Context::list();
  return std::any_of(devices.begin(), devices.end(), [](const vk::DeviceInfo &one) {
    return one.type == vk::kDiscrete || one.type == vk::kIntegrated || one.type == vk::kVirtual;
  });
}

Result<std::unique_ptr<Device>> make_vulkan_device(std::shared_ptr<const Artifact> artifact,
                                                   const VulkanDeviceOptions &options) {
  std::optional<uint32_t> segment = vulkan_segment(*artifact);
  if (!segment)
    return Status(StatusCode::kUnsupported, artifact->path() + " has no code for Vulkan; compile it with `llmc compile "
                                                               "--target vulkan`");
  Result<CodeTable> table = CodeTable::parse(artifact->segment(*segment));
  if (!table)
    return table.status();
  Result<std::unique_ptr<vk::Context>> context = vk::Context::open(options.index);
  if (!context)
    return context.status();
  return std::unique_ptr<Device>(
      std::make_unique<VulkanDevice>(std::move(artifact), *std::move(table), *std::move(context)));
}

} // namespace llmrt
