#include "runtime/device/vulkan/vulkan_device.h"

#include "runtime/artifact/features.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/log.h"
#include "runtime/device/gpu/gpu_device.h"
#include "runtime/device/gpu/lone_run.h"
#include "runtime/device/vulkan/vulkan_alone.h"
#include "runtime/device/vulkan/vulkan_program.h"
#include "runtime/device/vulkan/vulkan_tiers.h"

#include <algorithm>
#include <deque>

namespace llmrt {

namespace vk {

namespace {

constexpr int64_t kStaging = int64_t(16) << 20;

class VulkanBackend final : public gpu::Backend {
public:
  explicit VulkanBackend(std::unique_ptr<Context> context)
      : context_(std::move(context)), pipelines_(*context_), lone_(*context_, pipelines_) {}

  std::string name() const override { return "vulkan " + context_->name(); }
  std::string_view target() const override { return kVulkanTarget; }
  int64_t memory_bytes() const override { return context_->memory_bytes(); }
  int64_t max_operand_bytes() const override { return int64_t(limits().max_storage_buffer_range); }
  int64_t row_alignment() const override {
    return std::max<int64_t>(4, int64_t(limits().min_storage_buffer_alignment));
  }
  llmrt::Result<gpu::Memory> take(int64_t bytes, gpu::Place place, const char *what) override;
  Status upload(std::span<const std::byte> source, const gpu::Memory &target) override;
  Status clear(const gpu::Memory &memory) override { return vk::clear(*context_, memory.handle); }
  Status copy(std::span<const gpu::Memory> memories, int64_t from, int64_t to, int64_t bytes) override;
  Status record(gpu::StepTable &table, const gpu::StepMemory &memory) override;
  Status run(int64_t tokens, std::span<const gpu::Output> outputs) override;
  Status fetch(std::span<const gpu::Output> outputs) override;
  Status run_alone(const gpu::BoundKernel &kernel) override { return lone_.run(kernel); }

private:
  const PhysicalDeviceLimits &limits() const { return context_->properties().limits; }
  Status record_outputs(std::span<const gpu::Output> outputs);

  std::unique_ptr<Context> context_;
  Pipelines pipelines_;
  LoneRunner lone_;
  std::deque<Buffer> buffers_;
  const gpu::StepMemory *memory_ = nullptr;
  std::unique_ptr<Program> program_;
  Dispatchable step_commands_ = nullptr, output_commands_ = nullptr;
};

llmrt::Result<gpu::Memory> VulkanBackend::take(int64_t bytes, gpu::Place place, const char *what) {
  llmrt::Result<Buffer> buffer = Buffer::create(*context_, bytes, place, what);
  if (!buffer)
    return buffer.status();
  buffers_.push_back(*std::move(buffer));
  return buffers_.back().memory();
}

Status VulkanBackend::upload(std::span<const std::byte> source, const gpu::Memory &target) {
  llmrt::Result<Buffer> staging = Buffer::create(*context_, std::min(kStaging, int64_t(source.size())),
                                                 gpu::Place::kUpload, "weights on their way");
  return staging ? vk::upload(*context_, source, target.handle, *staging) : staging.status();
}

Status VulkanBackend::copy(std::span<const gpu::Memory> memories, int64_t from, int64_t to, int64_t bytes) {
  return context_->run_once([&](Dispatchable commands) {
    BufferCopy copy{Size(from), Size(to), Size(bytes)};
    for (const gpu::Memory &memory : memories)
      context_->api().CmdCopyBuffer(commands, memory.handle, memory.handle, 1, &copy);
    full_barrier(*context_, commands);
  });
}

Status VulkanBackend::record(gpu::StepTable &table, const gpu::StepMemory &memory) {
  memory_ = &memory;
  llmrt::Result<std::unique_ptr<Program>> program = Program::create(*context_, pipelines_, table, memory);
  if (!program)
    return program.status();
  program_ = *std::move(program);
  llmrt::Result<Dispatchable> step = context_->new_commands();
  if (!step)
    return step.status();
  llmrt::Result<Dispatchable> outputs = context_->new_commands();
  if (!outputs)
    return outputs.status();
  step_commands_ = *step;
  output_commands_ = *outputs;
  if (Status status = context_->begin(step_commands_); !status.ok())
    return status;
  program_->record(step_commands_);
  return context_->end(step_commands_);
}

// The only commands that change with the step: which rows come back.
Status VulkanBackend::record_outputs(std::span<const gpu::Output> outputs) {
  if (Status status = context_->begin(output_commands_); !status.ok())
    return status;
  const Api &api = context_->api();
  for (const gpu::Output &output : outputs) {
    BufferCopy copy{Size(output.from), Size(output.at), Size(output.bytes)};
    if (output.bytes > 0)
      api.CmdCopyBuffer(output_commands_, memory_->arena.handle, output.to.handle, 1, &copy);
  }
  MemoryBarrier barrier;
  barrier.from = kAccessTransferWrite;
  barrier.to = kAccessHostRead;
  api.CmdPipelineBarrier(output_commands_, kStageTransfer, kStageHost, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  return context_->end(output_commands_);
}

Status VulkanBackend::run(int64_t, std::span<const gpu::Output> outputs) {
  std::array<Dispatchable, 2> commands{step_commands_, output_commands_};
  bool wanted = std::any_of(outputs.begin(), outputs.end(), [](const gpu::Output &one) { return one.bytes > 0; });
  if (wanted)
    if (Status status = record_outputs(outputs); !status.ok())
      return status;
  return context_->run(commands.data(), wanted ? 2 : 1);
}

Status VulkanBackend::fetch(std::span<const gpu::Output> outputs) {
  if (Status status = record_outputs(outputs); !status.ok())
    return status;
  return context_->run(&output_commands_, 1);
}

} // namespace

} // namespace vk

bool has_vulkan_code(const Artifact &artifact) { return !vk::tiers_of(artifact).empty(); }

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

std::vector<std::string> vulkan_picks(const Artifact &artifact) {
  std::vector<std::string> lines;
  for (const vk::DeviceInfo &device : vk::Context::list()) {
    Result<std::vector<vk::Tier>> tiers = vk::runnable_tiers(artifact, device.features, "");
    std::string has = device.features ? join_feature_names(device.features) : "no optional feature";
    lines.push_back(device.name + " (" + vk::type_text(device.type) + "): " +
                    (tiers ? "tier " + tiers->front().name : tiers.status().message()) + "; it has " + has);
  }
  return lines;
}

Result<std::unique_ptr<gpu::Backend>> open_vulkan(int index, uint64_t *features) {
  Result<std::unique_ptr<vk::Context>> context = vk::Context::open(index);
  if (!context)
    return context.status();
  if (features)
    *features = (*context)->features();
  return std::unique_ptr<gpu::Backend>(std::make_unique<vk::VulkanBackend>(*std::move(context)));
}

// The first of the tiers whose kernels make what they should.
static Result<vk::Tier> tested(const Artifact &artifact, const std::vector<vk::Tier> &tiers, gpu::Backend &backend) {
  Status last;
  for (const vk::Tier &tier : tiers) {
    if (!last.ok())
      log(LogLevel::kWarning, last.message() + "; trying the artifact's next tier");
    Result<CodeTable> table = CodeTable::parse(artifact.segment(tier.segment));
    Status status = table ? gpu::self_test(artifact, *table, backend) : table.status();
    if (status.ok())
      return tier;
    last = Status(status.code(), "tier " + tier.name + ": " + status.message());
    if (status.code() != StatusCode::kInternal)
      break;
  }
  return last;
}

Result<std::unique_ptr<Device>> make_vulkan_device(std::shared_ptr<const Artifact> artifact,
                                                   const GpuOptions &options) {
  if (!has_vulkan_code(*artifact))
    return Status(StatusCode::kUnsupported, artifact->path() + " has no code for Vulkan; compile it with `llmc compile "
                                                               "--target vulkan`");
  uint64_t features = 0;
  Result<std::unique_ptr<gpu::Backend>> backend = open_vulkan(options.index, &features);
  if (!backend)
    return backend.status();
  Result<std::vector<vk::Tier>> tiers = vk::runnable_tiers(*artifact, features, options.tier);
  if (!tiers)
    return tiers.status();
  Result<vk::Tier> tier = options.self_test ? tested(*artifact, *tiers, **backend) : tiers->front();
  if (!tier)
    return tier.status();
  Result<CodeTable> table = CodeTable::parse(artifact->segment(tier->segment));
  if (!table)
    return table.status();
  return gpu::make_device(std::move(artifact), *std::move(table), *std::move(backend));
}

} // namespace llmrt
