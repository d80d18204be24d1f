#include "runtime/device/vulkan/vulkan_program.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"
#include "runtime/device/memory_plan.h"

#include <algorithm>
#include <cstring>

namespace llmrt::vk {

namespace {

constexpr int64_t kMaxWord = INT32_MAX;
constexpr int64_t kMaxGroupDimension = 65535; // of workgroups: every device takes that many

Status too_large(const char *what) {
  return Status(StatusCode::kExhausted, std::string(what) + " of a step this large does not fit into 31 bits; lower "
                                                            "--max-num-batched-tokens, --max-num-seqs or "
                                                            "--max-model-len");
}

bool is_of_the_step(schema::Symbol symbol) {
  return symbol == schema::Symbol::Tokens || symbol == schema::Symbol::Sequences || symbol == schema::Symbol::Rows ||
         symbol == schema::Symbol::HiddenRows;
}

// The most that an extent can be on a step within the limits: terms that take away and depend on the step are left
// out.
std::optional<int64_t> largest_extent(const CodeTable &table, const llmrt_operand &operand,
                                      const schema::KernelDispatch &source, const SymbolValues &largest) {
  int64_t sum = 0;
  for (const llmrt_term &term : table.terms(operand.extent)) {
    int64_t product = term.coefficient;
    bool fixed = true;
    for (int16_t index : term.scalars) {
      if (index < 0)
        continue;
      const schema::Scalar &scalar = *source.scalars()->Get(uint32_t(index));
      fixed &= !is_of_the_step(scalar.symbol());
      std::optional<int64_t> value = checked_multiply(scalar.value(), largest[size_t(scalar.symbol())]);
      std::optional<int64_t> next = value ? checked_multiply(product, *value) : std::nullopt;
      if (!next)
        return std::nullopt;
      product = *next;
    }
    if (!fixed && product < 0)
      continue;
    std::optional<int64_t> next = checked_add(sum, product);
    if (!next)
      return std::nullopt;
    sum = *next;
  }
  return sum;
}

} // namespace

Program::Program(Context &context, const Artifact &artifact, const CodeTable &table, const Limits &limits,
                 const DeviceMemory &memory)
    : context_(context), artifact_(artifact), table_(table), memory_(memory), largest_(symbol_values(limits)) {
  StepBlockLayout layout = step_block_layout(limits, int(count_of(artifact.meta().cache_groups())));
  inputs_ = {layout.token_ids, layout.positions, layout.sequence_index, layout.output_rows, layout.rope_length, 0,
             layout.hidden_rows};
  page_tables_ = layout.page_tables;
  step_block_bytes_ = layout.bytes;
}

Program::~Program() {
  const Api &api = context_.api();
  Dispatchable device = context_.device();
  for (auto [entry, pipeline] : pipelines_)
    api.DestroyPipeline(device, pipeline, nullptr);
  if (pool_)
    api.DestroyDescriptorPool(device, pool_, nullptr);
  for (auto &[count, layout] : layouts_) {
    api.DestroyPipelineLayout(device, layout.pipeline, nullptr);
    api.DestroyDescriptorSetLayout(device, layout.set, nullptr);
  }
}

llmrt::Result<std::unique_ptr<Program>> Program::create(Context &context, const Artifact &artifact,
                                                        const CodeTable &table, const Limits &limits,
                                                        const DeviceMemory &memory) {
  std::unique_ptr<Program> program(new Program(context, artifact, table, limits, memory));
  if (Status status = program->build(); !status.ok())
    return status;
  return program;
}

Status Program::build() {
  const schema::Program *source = find_program(artifact_.meta(), "step");
  for (uint32_t i = 0; i < count_of(source->dispatches()); ++i) {
    const schema::KernelDispatch *kernel = source->dispatches()->Get(i)->op_as_KernelDispatch();
    if (!kernel)
      return Status(StatusCode::kUnsupported, "the program copies buffers, which the Vulkan device does not do yet; "
                                              "use --device cpu");
    Dispatch dispatch;
    if (Status status = add(dispatch, *kernel); !status.ok())
      return Status(status.code(), std::string(text_of(artifact_.meta().kernels()->Get(kernel->kernel())->name())) +
                                       ": " + status.message());
    dispatches_.push_back(dispatch);
  }
  if (Status status = lay_out_table(); !status.ok())
    return status;
  if (Status status = make_sets(); !status.ok())
    return status;
  for (uint32_t i = 0; i < dispatches_.size(); ++i)
    if (Status status = bind(dispatches_[i], *source->dispatches()->Get(i)->op_as_KernelDispatch()); !status.ok())
      return status;
  return ok_status();
}

// ---- pipelines -----------------------------------------------------------------------------------------------------

llmrt::Result<Program::Layout> Program::layout_of(uint32_t operands) {
  if (auto found = layouts_.find(operands); found != layouts_.end())
    return found->second;
  const PhysicalDeviceLimits &limits = context_.properties().limits;
  if (operands + 1 > std::min(limits.max_per_stage_storage_buffers, limits.max_set_storage_buffers))
    return Status(StatusCode::kUnsupported, context_.name() + " binds fewer buffers than the kernel's " +
                                                std::to_string(operands + 1));
  std::vector<DescriptorSetLayoutBinding> bindings(operands + 1);
  for (uint32_t i = 0; i <= operands; ++i)
    bindings[i].binding = i;
  DescriptorSetLayoutCreateInfo info;
  info.binding_count = operands + 1;
  info.bindings = bindings.data();
  Layout layout;
  const Api &api = context_.api();
  if (Status status = context_.check(api.CreateDescriptorSetLayout(context_.device(), &info, nullptr, &layout.set),
                                     "a descriptor layout");
      !status.ok())
    return status;
  PipelineLayoutCreateInfo pipeline;
  pipeline.sets = &layout.set;
  if (Status status = context_.check(api.CreatePipelineLayout(context_.device(), &pipeline, nullptr, &layout.pipeline),
                                     "a pipeline layout");
      !status.ok()) {
    api.DestroyDescriptorSetLayout(context_.device(), layout.set, nullptr);
    return status;
  }
  layouts_[operands] = layout;
  return layout;
}

llmrt::Result<Handle> Program::pipeline_of(const llmrt_kernel_entry &entry, Handle layout) {
  if (auto found = pipelines_.find(&entry); found != pipelines_.end())
    return found->second;
  // The module lies at a multiple of 4 bytes (the verifier), in a segment at a multiple of 64 KB.
  ShaderModuleCreateInfo code;
  code.bytes = entry.code_bytes;
  code.words = reinterpret_cast<const uint32_t *>(table_.segment().data() + entry.entry);
  const Api &api = context_.api();
  ComputePipelineCreateInfo info;
  if (Status status = context_.check(
          api.CreateShaderModule(context_.device(), &code, nullptr, &info.stage.module), "a shader module");
      !status.ok())
    return status;
  info.layout = layout;
  Handle pipeline = 0;
  Status status = context_.check(api.CreateComputePipelines(context_.device(), 0, 1, &info, nullptr, &pipeline),
                                 "compiling a kernel");
  api.DestroyShaderModule(context_.device(), info.stage.module, nullptr);
  if (!status.ok())
    return status;
  pipelines_[&entry] = pipeline;
  return pipeline;
}

Status Program::add_variant(const llmrt_kernel_entry &entry, const Layout &layout) {
  llmrt::Result<Handle> pipeline = pipeline_of(entry, layout.pipeline);
  if (!pipeline)
    return pipeline.status();
  variants_.push_back({&entry, *pipeline, 0});
  return ok_status();
}

Status Program::add(Dispatch &dispatch, const schema::KernelDispatch &source) {
  const schema::Kernel &kernel = *artifact_.meta().kernels()->Get(source.kernel());
  dispatch.operand_count = count_of(source.operands());
  llmrt::Result<Layout> layout = layout_of(dispatch.operand_count);
  if (!layout)
    return layout.status();
  dispatch.layout = layout->pipeline;
  dispatch.first_variant = uint32_t(variants_.size());
  for (const llmrt_kernel_entry &entry : table_.find({kernel.id()->data(), kernel.id()->size()}))
    if (Status status = add_variant(entry, *layout); !status.ok())
      return status;
  dispatch.variant_count = uint32_t(variants_.size()) - dispatch.first_variant;
  dispatch.first_scalar = uint32_t(scalars_.size());
  dispatch.scalar_count = count_of(source.scalars());
  for (uint32_t i = 0; i < dispatch.scalar_count; ++i) {
    const schema::Scalar &scalar = *source.scalars()->Get(i);
    scalars_.push_back({scalar.value(), scalar.symbol()});
  }
  return ok_status();
}

// ---- the table -----------------------------------------------------------------------------------------------------

// First the group counts of all variants, then each dispatch's row where a binding may begin.
Status Program::lay_out_table() {
  int64_t at = 0;
  for (Variant &variant : variants_) {
    variant.counts = at;
    at += int64_t(sizeof(DispatchIndirectCommand));
  }
  int64_t alignment = std::max<int64_t>(4, int64_t(context_.properties().limits.min_storage_buffer_alignment));
  for (Dispatch &dispatch : dispatches_) {
    at = (at + alignment - 1) / alignment * alignment;
    dispatch.row = at;
    at += 4 * int64_t(dispatch.scalar_count + dispatch.operand_count + 1);
  }
  auto upload = Buffer::create(context_, at, Place::kUpload, "the table of dispatches");
  if (!upload)
    return upload.status();
  upload_ = *std::move(upload);
  auto device = Buffer::create(context_, at, Place::kDevice, "the table of dispatches");
  if (!device)
    return device.status();
  device_table_ = *std::move(device);
  return ok_status();
}

Status Program::make_sets() {
  DescriptorPoolSize size;
  std::vector<Handle> layouts;
  for (const Dispatch &dispatch : dispatches_) {
    size.count += dispatch.operand_count + 1;
    layouts.push_back(layouts_[dispatch.operand_count].set);
  }
  DescriptorPoolCreateInfo pool;
  pool.max_sets = uint32_t(std::max<size_t>(layouts.size(), 1));
  pool.sizes = &size;
  size.count = std::max<uint32_t>(size.count, 1);
  const Api &api = context_.api();
  if (Status status =
          context_.check(api.CreateDescriptorPool(context_.device(), &pool, nullptr, &pool_), "a descriptor pool");
      !status.ok())
    return status;
  std::vector<Handle> sets(layouts.size());
  DescriptorSetAllocateInfo info;
  info.pool = pool_;
  info.count = uint32_t(sets.size());
  info.layouts = layouts.data();
  if (sets.empty())
    return ok_status();
  if (Status status =
          context_.check(api.AllocateDescriptorSets(context_.device(), &info, sets.data()), "descriptor sets");
      !status.ok())
    return status;
  for (size_t i = 0; i < sets.size(); ++i)
    dispatches_[i].set = sets[i];
  return ok_status();
}

// ---- operands ------------------------------------------------------------------------------------------------------

// What is left of the operand's memory from its offset on.
llmrt::Result<Region> Program::region_of(const schema::Operand &operand) const {
  const schema::Artifact &meta = artifact_.meta();
  Region region;
  std::optional<int64_t> offset = evaluate(operand.offset(), largest_);
  if (!offset)
    return too_large("an operand's offset");
  switch (operand.kind()) {
  case schema::OperandKind::Buffer: {
    std::optional<int64_t> start = evaluate(meta.buffers()->Get(operand.index())->offset(), largest_);
    offset = start ? checked_add(*start, *offset) : std::nullopt;
    region = memory_.arena;
    break;
  }
  case schema::OperandKind::Weight: region = memory_.weights[operand.index()]; break;
  case schema::OperandKind::Input: {
    bool table = schema::Input(operand.index()) == schema::Input::PageTable;
    offset = checked_add(*offset, table ? page_tables_[operand.group()] : inputs_[operand.index()]);
    region = memory_.step_block;
    break;
  }
  case schema::OperandKind::Cache: {
    const std::vector<Region> &layers = memory_.pools[operand.index()];
    int64_t bytes = layers.front().bytes, layer = *offset / bytes;
    if (layer >= int64_t(layers.size()))
      return Status(StatusCode::kCorrupt, "an operand lies behind its cache group");
    region = layers[size_t(layer)];
    offset = *offset % bytes;
    break;
  }
  }
  if (!offset || *offset > region.bytes)
    return too_large("an operand's offset");
  return Region{region.buffer, region.offset + *offset, region.bytes - *offset};
}

// `start`: the word that the operand begins at in its binding, for bindings begin at multiples of the device's own.
llmrt::Result<DescriptorBufferInfo> Program::binding_of(const schema::KernelDispatch &source, const Dispatch &dispatch,
                                                        uint32_t operand, int32_t *start) const {
  llmrt::Result<Region> region = region_of(*source.operands()->Get(operand));
  if (!region)
    return region.status();
  int64_t extent = 0;
  for (uint32_t i = 0; i < dispatch.variant_count; ++i) {
    const llmrt_kernel_entry &entry = *variants_[dispatch.first_variant + i].entry;
    std::optional<int64_t> bytes = largest_extent(table_, table_.operands(entry)[operand], source, largest_);
    if (!bytes || *bytes > INT64_MAX / 2)
      return too_large("an operand");
    extent = std::max(extent, (*bytes + 3) / 4 * 4);
  }
  if (extent > region->bytes || region->offset % 4 != 0)
    return Status(StatusCode::kCorrupt, "operand " + std::to_string(operand) +
                                            " reaches over the end of a layer's pages, or is not aligned to words");
  if (extent == 0)
    region->offset = 0; // nothing lies there, and a binding must not begin at its buffer's end
  const PhysicalDeviceLimits &limits = context_.properties().limits;
  int64_t alignment = std::max<int64_t>(4, int64_t(limits.min_storage_buffer_alignment));
  int64_t offset = region->offset / alignment * alignment;
  int64_t range = region->offset - offset + std::max<int64_t>(extent, 4);
  if (range > int64_t(limits.max_storage_buffer_range))
    return Status(StatusCode::kExhausted,
                  "operand " + std::to_string(operand) + " takes " + format_bytes(uint64_t(range)) + ", " +
                      context_.name() + " binds at most " + format_bytes(limits.max_storage_buffer_range) +
                      "; lower --kv-cache-memory-bytes, --max-num-batched-tokens or --max-num-seqs");
  *start = int32_t((region->offset - offset) / 4);
  return DescriptorBufferInfo{region->buffer, Size(offset), Size(range)};
}

Status Program::bind(Dispatch &dispatch, const schema::KernelDispatch &source) {
  std::vector<DescriptorBufferInfo> buffers;
  Size row_bytes = 4 * Size(dispatch.scalar_count + dispatch.operand_count + 1);
  buffers.push_back({device_table_.handle(), Size(dispatch.row), row_bytes});
  for (uint32_t i = 0; i < dispatch.operand_count; ++i) {
    int32_t *start = words(dispatch.row) + dispatch.scalar_count + i;
    llmrt::Result<DescriptorBufferInfo> binding = binding_of(source, dispatch, i, start);
    if (!binding)
      return Status(binding.status().code(),
                    std::string(text_of(artifact_.meta().kernels()->Get(source.kernel())->name())) + ": " +
                        binding.status().message());
    buffers.push_back(*binding);
  }
  std::vector<WriteDescriptorSet> writes(buffers.size());
  for (uint32_t i = 0; i < writes.size(); ++i) {
    writes[i].set = dispatch.set;
    writes[i].binding = i;
    writes[i].buffers = &buffers[i];
  }
  context_.api().UpdateDescriptorSets(context_.device(), uint32_t(writes.size()), writes.data(), 0, nullptr);
  return ok_status();
}

// ---- a step --------------------------------------------------------------------------------------------------------

void Program::record(Dispatchable commands) const {
  const Api &api = context_.api();
  BufferCopy copy{0, 0, Size(upload_.bytes())};
  api.CmdCopyBuffer(commands, upload_.handle(), device_table_.handle(), 1, &copy);
  for (const Dispatch &dispatch : dispatches_) {
    api.CmdBindDescriptorSets(commands, kBindPointCompute, dispatch.layout, 0, 1, &dispatch.set, 0, nullptr);
    for (uint32_t i = 0; i < dispatch.variant_count; ++i) {
      const Variant &variant = variants_[dispatch.first_variant + i];
      full_barrier(context_, commands); // of two variants one does nothing, which nobody else can know
      api.CmdBindPipeline(commands, kBindPointCompute, variant.pipeline);
      api.CmdDispatchIndirect(commands, device_table_.handle(), Size(variant.counts));
    }
  }
  full_barrier(context_, commands);
}

Status Program::set_counts(const Variant &variant, int64_t items) {
  int64_t groups = (items + variant.entry->grain - 1) / variant.entry->grain;
  int64_t x = std::min(groups, kMaxGroupDimension), y = x ? (groups + x - 1) / x : 0;
  if (items > kMaxWord || y > kMaxGroupDimension)
    return too_large("the number of work items");
  DispatchIndirectCommand counts{uint32_t(x), uint32_t(y), 1};
  std::memcpy(upload_.data() + variant.counts, &counts, sizeof counts);
  return ok_status();
}

Status Program::fill_dispatch(const Dispatch &dispatch, const SymbolValues &values) {
  std::array<int64_t, kMaxKernelScalars> scalars;
  int32_t *row = words(dispatch.row);
  for (uint32_t i = 0; i < dispatch.scalar_count; ++i) {
    const Scalar &scalar = scalars_[dispatch.first_scalar + i];
    std::optional<int64_t> value = checked_multiply(scalar.value, values[size_t(scalar.symbol)]);
    if (!value || *value > kMaxWord)
      return too_large("a scalar");
    scalars[i] = *value;
    row[i] = int32_t(*value);
  }
  for (uint32_t i = 0; i < dispatch.variant_count; ++i) {
    const Variant &variant = variants_[dispatch.first_variant + i];
    int64_t items = 0;
    if (scalars[0] > 0 && scalars[0] >= variant.entry->first_rows && scalars[0] <= variant.entry->last_rows) {
      items = table_.evaluate(variant.entry->items, {scalars.data(), dispatch.scalar_count}).value_or(kMaxWord + 1);
      row[dispatch.scalar_count + dispatch.operand_count] = int32_t(std::clamp<int64_t>(items, 0, kMaxWord));
    }
    if (Status status = set_counts(variant, std::max<int64_t>(items, 0)); !status.ok())
      return status;
  }
  return ok_status();
}

Status Program::fill(const SymbolValues &values) {
  for (const Dispatch &dispatch : dispatches_)
    if (Status status = fill_dispatch(dispatch, values); !status.ok())
      return status;
  return ok_status();
}

} // namespace llmrt::vk
