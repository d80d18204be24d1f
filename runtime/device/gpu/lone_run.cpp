#include "runtime/device/gpu/lone_run.h"

#include <algorithm>
#include <array>

namespace llmrt::gpu {

namespace {

// Words of the row, as gpu::Launch has them: the scalars, where each operand begins in its binding, the work items, the
// workgroups.
class Row {
public:
  explicit Row(const llmrt_kernel_entry &entry) : entry_(entry) {}
  int64_t groups_at() const { return 4 * int64_t(entry_.scalar_count + entry_.operand_count + 1); }
  int64_t bytes() const { return groups_at() + 12; }

  void fill(GuardedOperands &operands, std::span<const int64_t> scalars, int64_t items, int64_t groups) const {
    int32_t *word = reinterpret_cast<int32_t *>(operands.block().data());
    for (int64_t scalar : scalars)
      *word++ = int32_t(scalar);
    for (const GuardedOperands::Slot &slot : operands.slots())
      *word++ = int32_t(slot.before / 4);
    *word++ = int32_t(items);
    int64_t x = std::min(groups, kMaxGroupDimension);
    *word++ = int32_t(x);
    *word++ = int32_t((groups + x - 1) / x);
    *word++ = 1;
  }

private:
  const llmrt_kernel_entry &entry_;
};

} // namespace

Status run_alone(Backend &backend, const LoneKernel &kernel) {
  if (Status status = check_lone_kernel(kernel); !status.ok())
    return status;
  const llmrt_kernel_entry &entry = *kernel.entry;
  int64_t items = *kernel.code->evaluate(entry.items, kernel.scalars);
  bool fits = std::all_of(kernel.scalars.begin(), kernel.scalars.end(), [](int64_t scalar) {
                return scalar >= 0 && scalar <= INT32_MAX;
              });
  int64_t groups = items / entry.grain + (items % entry.grain != 0);
  // Where a workgroup has one item there is one workgroup more, as a step has where two dimensions of them are not filled:
  // it must do nothing. Of threads with an item each there are more than items as it is.
  groups += entry.grain == 1;
  if (!fits)
    return Status(StatusCode::kInvalidArgument, "a figure of the dispatch does not fit into 31 bits");
  if (items <= 0)
    return ok_status();
  Row row(entry);
  GuardedOperands operands(kernel, row.bytes(), std::max<int64_t>(backend.row_alignment(), 64));
  row.fill(operands, kernel.scalars, items, groups);
  std::vector<Region> bindings{{0, 0, row.bytes()}};
  for (const GuardedOperands::Slot &slot : operands.slots())
    bindings.push_back({0, slot.offset, slot.bytes});
  BoundKernel bound{kernel.code, kernel.entry, operands.block(), bindings, row.groups_at(), groups};
  if (Status status = backend.run_alone(bound); !status.ok())
    return status;
  return operands.take_back(kernel);
}

Status self_test(const Artifact &artifact, const CodeTable &code, Backend &backend) {
  return llmrt::self_test(artifact, code, [&](const LoneKernel &kernel) { return run_alone(backend, kernel); });
}

} // namespace llmrt::gpu
