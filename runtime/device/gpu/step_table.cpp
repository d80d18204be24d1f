#include "runtime/device/gpu/step_table.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"
#include "runtime/device/memory_plan.h"

#include <algorithm>

namespace llmrt::gpu {

namespace {

constexpr int64_t kMaxWord = INT32_MAX;

Status too_large(const char *what) {
  return Status(StatusCode::kExhausted, std::string(what) + " of a step this large does not fit into 31 bits; lower "
                                                            "--max-num-batched-tokens, --max-num-seqs or "
                                                            "--max-model-len");
}

bool is_of_the_step(schema::Symbol symbol) {
  return symbol == schema::Symbol::Tokens || symbol == schema::Symbol::Sequences || symbol == schema::Symbol::Rows ||
         symbol == schema::Symbol::HiddenRows;
}

} // namespace

StepTable::StepTable(const Artifact &artifact, const CodeTable &code, const Limits &limits)
    : artifact_(artifact), code_(code), limits_(limits), largest_(symbol_values(limits)) {
  StepBlockLayout layout = step_block_layout(limits, int(count_of(artifact.meta().cache_groups())));
  inputs_ = {layout.token_ids, layout.positions, layout.sequence_index, layout.output_rows, layout.rope_length, 0,
             layout.hidden_rows};
  page_tables_ = layout.page_tables;
}

Result<std::unique_ptr<StepTable>> StepTable::create(const Artifact &artifact, const schema::Program &program,
                                                     const CodeTable &code, const Limits &limits,
                                                     int64_t row_alignment) {
  std::unique_ptr<StepTable> table(new StepTable(artifact, code, limits));
  if (Status status = table->add(program.dispatches(), false); !status.ok())
    return status;
  if (program.candidates())
    if (Status status = table->add(program.candidates()->dispatches(), true); !status.ok())
      return status;
  int64_t at = 0;
  for (Launch &launch : table->launches_) {
    launch.row = at = (at + row_alignment - 1) / row_alignment * row_alignment;
    at = launch.end();
  }
  table->bytes_ = (at + 4095) / 4096 * 4096;
  return table;
}

Status StepTable::add(const flatbuffers::Vector<flatbuffers::Offset<schema::DispatchEntry>> *dispatches,
                      bool candidates) {
  for (uint32_t i = 0; i < count_of(dispatches); ++i) {
    const schema::KernelDispatch *kernel = dispatches->Get(i)->op_as_KernelDispatch();
    if (!kernel)
      return Status(StatusCode::kUnsupported, "the program copies buffers, which GPUs do not do yet; use --device cpu");
    add(*kernel, candidates);
  }
  return ok_status();
}

void StepTable::add(const schema::KernelDispatch &source, bool candidates) {
  Launch launch;
  launch.source = &source;
  launch.candidates = candidates;
  launch.operand_count = count_of(source.operands());
  launch.first_scalar = uint32_t(scalars_.size());
  launch.scalar_count = count_of(source.scalars());
  for (uint32_t i = 0; i < launch.scalar_count; ++i) {
    const schema::Scalar &scalar = *source.scalars()->Get(i);
    scalars_.push_back({scalar.value(), scalar.symbol()});
  }
  const schema::Kernel &kernel = *artifact_.meta().kernels()->Get(source.kernel());
  for (const llmrt_kernel_entry &entry : code_.find({kernel.id()->data(), kernel.id()->size()})) {
    launch.entry = &entry;
    launches_.push_back(launch);
  }
}

Status StepTable::blame(const Launch &launch, const Status &status) const {
  const schema::Kernel &kernel = *artifact_.meta().kernels()->Get(launch.source->kernel());
  return Status(status.code(), std::string(text_of(kernel.name())) + ": " + status.message());
}

// ---- operands ------------------------------------------------------------------------------------------------------

// What is left of the operand's memory from its offset on.
Result<Region> StepTable::region_of(const schema::Operand &operand) const {
  const schema::Artifact &meta = artifact_.meta();
  Region region;
  std::optional<int64_t> offset = evaluate(operand.offset(), largest_);
  if (!offset)
    return too_large("an operand's offset");
  switch (operand.kind()) {
  case schema::OperandKind::Buffer: {
    std::optional<int64_t> start = evaluate(meta.buffers()->Get(operand.index())->offset(), largest_);
    offset = start ? checked_add(*start, *offset) : std::nullopt;
    region = memory.arena;
    break;
  }
  case schema::OperandKind::Weight: region = memory.weights[operand.index()]; break;
  case schema::OperandKind::Input: {
    bool table = schema::Input(operand.index()) == schema::Input::PageTable;
    offset = checked_add(*offset, table ? page_tables_[operand.group()] : inputs_[operand.index()]);
    region = memory.step_block;
    break;
  }
  case schema::OperandKind::Cache: {
    const std::vector<Region> &layers = memory.pools[operand.index()];
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
  return Region{region.handle, region.offset + *offset, region.bytes - *offset};
}

// The most that an expression can be on a step within `values`: terms that take away and depend on the step are left
// out.
std::optional<int64_t> StepTable::largest(llmrt_expression expression, const Launch &launch,
                                          const SymbolValues &values) const {
  int64_t sum = 0;
  for (const llmrt_term &term : code_.terms(expression)) {
    int64_t product = term.coefficient;
    bool fixed = true;
    for (int16_t index : term.scalars) {
      if (index < 0)
        continue;
      const Scalar &scalar = scalars_[launch.first_scalar + size_t(index)];
      fixed &= !is_of_the_step(scalar.symbol);
      std::optional<int64_t> value = checked_multiply(scalar.value, values[size_t(scalar.symbol)]);
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

Result<Region> StepTable::operand(const Launch &launch, uint32_t index, int64_t most) const {
  Result<Region> region = region_of(*launch.source->operands()->Get(index));
  if (!region)
    return region.status();
  std::optional<int64_t> bytes = largest(code_.operands(*launch.entry)[index].extent, launch, largest_);
  if (!bytes || *bytes > INT64_MAX / 2)
    return too_large("an operand");
  int64_t extent = std::max<int64_t>((*bytes + 3) / 4 * 4, 4);
  std::string name = "operand " + std::to_string(index);
  if (extent > std::max<int64_t>(region->bytes, 4) || region->offset % 4 != 0)
    return Status(StatusCode::kCorrupt, name + " reaches over the end of a layer's pages, or is not aligned to words");
  if (*bytes <= 0)
    region->offset = 0; // nothing lies there, and a binding must not begin at its buffer's end
  if (extent > most)
    return Status(StatusCode::kExhausted, name + " takes " + format_bytes(uint64_t(extent)) +
                                              ", a kernel on this device reaches " + format_bytes(uint64_t(most)) +
                                              "; lower --kv-cache-memory-bytes, --max-num-batched-tokens or "
                                              "--max-num-seqs");
  region->bytes = extent;
  return region;
}

// ---- a step --------------------------------------------------------------------------------------------------------

SymbolValues StepTable::values_of(const StepShape &shape) const {
  Limits step = limits_;
  step.tokens = shape.tokens;
  step.sequences = shape.sequences;
  step.rows = shape.rows;
  step.hidden_rows = shape.hidden_rows;
  return symbol_values(step);
}

Status StepTable::fill_launch(const Launch &launch, const SymbolValues &values, bool wanted) const {
  std::array<int64_t, kMaxKernelScalars> scalars;
  for (uint32_t i = 0; i < launch.scalar_count; ++i) {
    const Scalar &scalar = scalars_[launch.first_scalar + i];
    std::optional<int64_t> value = checked_multiply(scalar.value, values[size_t(scalar.symbol)]);
    if (!value || *value > kMaxWord)
      return too_large("a scalar");
    scalars[i] = *value;
    word(launch.row)[i] = int32_t(*value);
  }
  int64_t items = 0;
  if (wanted && scalars[0] > 0 && scalars[0] >= launch.entry->first_rows && scalars[0] <= launch.entry->last_rows)
    items = std::max<int64_t>(
        code_.evaluate(launch.entry->items, {scalars.data(), launch.scalar_count}).value_or(kMaxWord + 1), 0);
  int64_t groups = (items + launch.entry->grain - 1) / launch.entry->grain;
  int64_t x = std::min(groups, kMaxGroupDimension), y = x ? (groups + x - 1) / x : 0;
  if (items > kMaxWord || y > kMaxGroupDimension)
    return too_large("the number of work items");
  *word(launch.items()) = int32_t(items);
  int32_t *counts = word(launch.groups());
  counts[0] = int32_t(x);
  counts[1] = int32_t(y);
  counts[2] = 1;
  return ok_status();
}

Status StepTable::fill(const StepShape &shape, bool candidates) const {
  SymbolValues values = values_of(shape);
  for (const Launch &launch : launches_)
    if (Status status = fill_launch(launch, values, candidates || !launch.candidates); !status.ok())
      return status;
  return ok_status();
}

// Sequences and rows may be as few as one or none, and as many as the tokens.
Result<int64_t> StepTable::most_groups(const Launch &launch, int64_t first_tokens, int64_t last_tokens) const {
  auto capped = [&](int64_t limit) { return std::min(limit, last_tokens); };
  SymbolValues least = values_of({first_tokens, 1, 0, 0});
  SymbolValues most =
      values_of({last_tokens, capped(limits_.sequences), capped(limits_.rows), capped(limits_.hidden_rows)});
  const Scalar &rows = scalars_[launch.first_scalar];
  std::optional<int64_t> low = checked_multiply(rows.value, least[size_t(rows.symbol)]);
  std::optional<int64_t> high = checked_multiply(rows.value, most[size_t(rows.symbol)]);
  if (!low || !high)
    return too_large("a scalar");
  if (*high < launch.entry->first_rows || *low > launch.entry->last_rows)
    return int64_t(0);
  std::optional<int64_t> items = largest(launch.entry->items, launch, most);
  if (!items || *items > kMaxWord)
    return too_large("the number of work items");
  return (std::max<int64_t>(*items, 0) + launch.entry->grain - 1) / launch.entry->grain;
}

} // namespace llmrt::gpu
