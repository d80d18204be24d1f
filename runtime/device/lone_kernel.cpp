#include "runtime/device/lone_kernel.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace llmrt {

namespace {

std::byte guard_byte(size_t at) { return std::byte(GuardedOperands::kGuardWord >> 8 * (at % 4)); }

Status wrong(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

Status check_operand(const LoneKernel &kernel, size_t index) {
  const llmrt_operand &operand = kernel.code->operands(*kernel.entry)[index];
  std::span<const std::byte> bytes = kernel.operands[index];
  std::string name = "operand " + std::to_string(index);
  std::optional<int64_t> extent = kernel.code->evaluate(operand.extent, kernel.scalars);
  if (!extent || *extent > int64_t(bytes.size()))
    return wrong(name + " has " + std::to_string(bytes.size()) + " bytes, fewer than the kernel may touch");
  if (operand.alignment > GuardedOperands::kGuard)
    return wrong(name + " wants an alignment of " + std::to_string(operand.alignment));
  if (operand.maximum.term_count == 0)
    return ok_status();
  std::optional<int64_t> bound = kernel.code->evaluate(operand.maximum, kernel.scalars);
  for (int64_t at = 0; at + 4 <= *extent; at += 4) {
    int32_t value;
    std::memcpy(&value, bytes.data() + at, 4);
    if (!bound || value < 0 || value >= *bound)
      return wrong(name + " has an index that is not below its bound");
  }
  return ok_status();
}

} // namespace

Status check_lone_kernel(const LoneKernel &kernel) {
  const llmrt_kernel_entry &entry = *kernel.entry;
  if (kernel.scalars.size() != entry.scalar_count || kernel.operands.size() != entry.operand_count)
    return wrong("the kernel takes " + std::to_string(entry.scalar_count) + " scalars and " +
                 std::to_string(entry.operand_count) + " operands");
  if (entry.scalar_count == 0 || kernel.scalars[0] < entry.first_rows || kernel.scalars[0] > entry.last_rows)
    return wrong("the variant is not for that many rows");
  for (const llmrt_constraint &constraint : kernel.code->constraints(entry))
    if (kernel.code->evaluate(constraint.value, kernel.scalars).value_or(-1) < 0)
      return wrong("a constraint of the kernel does not hold");
  if (kernel.code->evaluate(entry.items, kernel.scalars).value_or(INT64_MAX) > kMaxLoneItems)
    return wrong("there are too many work items for one kernel by itself");
  for (size_t i = 0; i < kernel.operands.size(); ++i)
    if (Status status = check_operand(kernel, i); !status.ok())
      return status;
  return ok_status();
}

GuardedOperands::GuardedOperands(const LoneKernel &kernel, int64_t front, int64_t alignment) {
  auto round_up = [&](int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  int64_t at = round_up(front);
  for (const llmrt_operand &operand : kernel.code->operands(*kernel.entry)) {
    int64_t extent = std::max<int64_t>(*kernel.code->evaluate(operand.extent, kernel.scalars), 0);
    int64_t before = kGuard * int64_t(slots_.size() + 1);
    slots_.push_back({at, round_up(before + extent + kGuard), before, extent});
    at += slots_.back().bytes;
  }
  bytes_ = size_t(at);
  memory_.resize(bytes_ + size_t(alignment));
  uintptr_t address = reinterpret_cast<uintptr_t>(memory_.data());
  start_ = (size_t(alignment) - address % size_t(alignment)) % size_t(alignment);
  for (size_t i = size_t(front); i < bytes_; ++i)
    block()[i] = guard_byte(i);
  for (size_t i = 0; i < slots_.size(); ++i)
    std::memcpy(block().data() + slots_[i].offset + slots_[i].before, kernel.operands[i].data(), size_t(slots_[i].extent));
}

Status GuardedOperands::take_back(const LoneKernel &kernel) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    auto whole = [this](int64_t from, int64_t to) {
      for (int64_t at = from; at < to; ++at)
        if (block()[size_t(at)] != guard_byte(size_t(at)))
          return false;
      return true;
    };
    int64_t begin = slots_[i].offset + slots_[i].before, end = begin + slots_[i].extent;
    if (!whole(slots_[i].offset, begin) || !whole(end, slots_[i].offset + slots_[i].bytes))
      return Status(StatusCode::kInternal, "it writes outside of operand " + std::to_string(i));
  }
  for (size_t i = 0; i < slots_.size(); ++i)
    std::memcpy(kernel.operands[i].data(), block().data() + slots_[i].offset + slots_[i].before, size_t(slots_[i].extent));
  return ok_status();
}

} // namespace llmrt
