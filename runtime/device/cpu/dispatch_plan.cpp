#include "runtime/device/cpu/dispatch_plan.h"

#include "runtime/artifact/verify.h"
#include "runtime/device/memory_plan.h"

#include <algorithm>

namespace llmrt {

namespace {

Status too_large(const char *what) {
  return Status(StatusCode::kExhausted, std::string(what) + " of a step this large does not fit into 63 bits; lower "
                                                            "--max-num-batched-tokens, --max-num-seqs or "
                                                            "--max-model-len");
}

class Planner {
public:
  Planner(const Artifact &artifact, const CodeTable &table, const LoadedCode &code, const Limits &limits,
          const StepMemory &memory)
      : artifact_(artifact), meta_(artifact.meta()), table_(table), code_(code), values_(symbol_values(limits)),
        layout_(step_block_layout(limits, int(count_of(meta_.cache_groups())))), memory_(memory) {}

  Status add_kernel(const schema::KernelDispatch &dispatch);
  Status add_copy(const schema::CopyDispatch &copy);
  DispatchPlan take() { return std::move(plan_); }

private:
  Status add_operand(const schema::Operand &operand);
  std::byte *input(const schema::Operand &operand) const;

  const Artifact &artifact_;
  const schema::Artifact &meta_;
  const CodeTable &table_;
  const LoadedCode &code_;
  SymbolValues values_;
  StepBlockLayout layout_;
  StepMemory memory_;
  DispatchPlan plan_;
};

std::byte *Planner::input(const schema::Operand &operand) const {
  int64_t offset = 0;
  switch (schema::Input(operand.index())) {
  case schema::Input::TokenIds: offset = layout_.token_ids; break;
  case schema::Input::Positions: offset = layout_.positions; break;
  case schema::Input::SequenceIndex: offset = layout_.sequence_index; break;
  case schema::Input::OutputRows: offset = layout_.output_rows; break;
  case schema::Input::HiddenRows: offset = layout_.hidden_rows; break;
  case schema::Input::RopeLength: offset = layout_.rope_length; break;
  case schema::Input::PageTable: offset = layout_.page_tables[operand.group()]; break;
  }
  return memory_.step_block + offset;
}

Status Planner::add_operand(const schema::Operand &operand) {
  std::byte *base = nullptr;
  std::optional<int64_t> start = 0;
  switch (operand.kind()) {
  case schema::OperandKind::Buffer:
    base = memory_.arena;
    start = evaluate(meta_.buffers()->Get(operand.index())->offset(), values_);
    break;
  case schema::OperandKind::Weight:
    // Kernels only read weights: the verifier lets no operand that is written be one.
    base = const_cast<std::byte *>(artifact_.weight(operand.index()).data());
    break;
  case schema::OperandKind::Input: base = input(operand); break;
  case schema::OperandKind::Cache: base = memory_.pools[operand.index()]; break;
  }
  std::optional<int64_t> offset = evaluate(operand.offset(), values_);
  offset = offset && start ? checked_add(*offset, *start) : std::nullopt;
  if (!offset)
    return too_large("an operand's offset");
  plan_.operands.push_back(base + *offset);
  return ok_status();
}

Status Planner::add_kernel(const schema::KernelDispatch &dispatch) {
  const schema::Kernel &kernel = *meta_.kernels()->Get(dispatch.kernel());
  PlannedDispatch planned;
  planned.first_variant = uint32_t(plan_.variants.size());
  planned.first_operand = uint32_t(plan_.operands.size());
  planned.first_scalar = uint32_t(plan_.scalars.size());
  for (const llmrt_kernel_entry &entry : table_.find({kernel.id()->data(), kernel.id()->size()})) {
    Result<llmrt_kernel> function = code_.function(entry);
    if (!function)
      return Status(function.status().code(), std::string(text_of(kernel.name())) + ": " + function.status().message());
    plan_.variants.push_back({*function, &entry});
  }
  for (uint32_t i = 0; i < count_of(dispatch.operands()); ++i)
    if (Status status = add_operand(*dispatch.operands()->Get(i)); !status.ok())
      return status;
  for (uint32_t i = 0; i < count_of(dispatch.scalars()); ++i) {
    const schema::Scalar &scalar = *dispatch.scalars()->Get(i);
    if (!checked_multiply(scalar.value(), values_[size_t(scalar.symbol())]))
      return too_large("a scalar");
    plan_.scalars.push_back({scalar.value(), scalar.symbol()});
  }
  planned.variant_count = uint32_t(plan_.variants.size()) - planned.first_variant;
  planned.operand_count = uint32_t(plan_.operands.size()) - planned.first_operand;
  planned.scalar_count = uint32_t(plan_.scalars.size()) - planned.first_scalar;
  plan_.dispatches.push_back(planned);
  return ok_status();
}

Status Planner::add_copy(const schema::CopyDispatch &copy) {
  PlannedDispatch planned;
  planned.first_operand = uint32_t(plan_.operands.size());
  planned.operand_count = 2;
  planned.copy_bytes = copy.bytes();
  for (const schema::Operand *operand : {copy.from(), copy.to()})
    if (Status status = add_operand(*operand); !status.ok())
      return status;
  if (!evaluate(copy.bytes(), values_))
    return too_large("a copy");
  plan_.dispatches.push_back(planned);
  return ok_status();
}

// The most that `scratch` can be on a step within the limits: terms that take away and depend on the step are left
// out, and the variant's own range bounds the rows.
std::optional<int64_t> largest_scratch(const CodeTable &table, const llmrt_kernel_entry &entry,
                                       const schema::KernelDispatch &dispatch, const SymbolValues &values) {
  std::array<int64_t, kMaxKernelScalars> scalars{};
  std::array<bool, kMaxKernelScalars> fixed{};
  for (uint32_t i = 0; i < entry.scalar_count; ++i) {
    const schema::Scalar &scalar = *dispatch.scalars()->Get(i);
    std::optional<int64_t> value = checked_multiply(scalar.value(), values[size_t(scalar.symbol())]);
    if (!value)
      return std::nullopt;
    scalars[i] = i == 0 ? std::min(*value, entry.last_rows) : *value;
    fixed[i] = scalar.symbol() == schema::Symbol::One;
  }
  int64_t sum = 0;
  for (const llmrt_term &term : table.terms(entry.scratch)) {
    int64_t product = term.coefficient;
    bool constant = true;
    for (int16_t index : term.scalars) {
      if (index < 0)
        continue;
      constant &= fixed[size_t(index)];
      if (__builtin_mul_overflow(product, scalars[size_t(index)], &product))
        return std::nullopt;
    }
    if ((constant || product > 0) && __builtin_add_overflow(sum, product, &sum))
      return std::nullopt;
  }
  return sum;
}

} // namespace

Result<DispatchPlan> plan_dispatches(const Artifact &artifact, const CodeTable &table, const LoadedCode &code,
                                     const Limits &limits, const StepMemory &memory) {
  Planner planner(artifact, table, code, limits, memory);
  const schema::Program *program = find_step(artifact.meta(), kCpuTarget);
  for (uint32_t i = 0; i < count_of(program->dispatches()); ++i) {
    const schema::DispatchEntry &entry = *program->dispatches()->Get(i);
    Status status = entry.op_type() == schema::Dispatch::KernelDispatch ? planner.add_kernel(*entry.op_as_KernelDispatch())
                                                                        : planner.add_copy(*entry.op_as_CopyDispatch());
    if (!status.ok())
      return status;
  }
  return planner.take();
}

Result<int64_t> scratch_per_thread(const Artifact &artifact, const CodeTable &table, const Limits &limits) {
  SymbolValues values = symbol_values(limits);
  const schema::Program *program = find_step(artifact.meta(), kCpuTarget);
  int64_t largest = 0;
  for (uint32_t i = 0; i < count_of(program->dispatches()); ++i) {
    const schema::KernelDispatch *dispatch = program->dispatches()->Get(i)->op_as_KernelDispatch();
    if (!dispatch)
      continue;
    const schema::Kernel &kernel = *artifact.meta().kernels()->Get(dispatch->kernel());
    for (const llmrt_kernel_entry &entry : table.find({kernel.id()->data(), kernel.id()->size()})) {
      std::optional<int64_t> bytes = largest_scratch(table, entry, *dispatch, values);
      if (!bytes || *bytes > INT64_MAX - 64)
        return too_large("the scratch memory");
      largest = std::max(largest, *bytes);
    }
  }
  return (largest + 63) / 64 * 64;
}

} // namespace llmrt
