// A kernel by itself, outside of a step and on operands of its own: what the self-test at load and the conformance suite
// run. Every operand lies between guard bytes, which must be what they were when the kernel has run.
#pragma once

#include "runtime/artifact/code_table.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

inline constexpr int64_t kMaxLoneItems = int64_t(1) << 20; // one that runs longer is not tried

struct LoneKernel {
  const CodeTable *code = nullptr;
  const llmrt_kernel_entry *entry = nullptr; // of `code`
  std::span<const int64_t> scalars;
  // In memory of the host, each at least the kernel's extent, whose bytes come back when it has run.
  std::span<const std::span<std::byte>> operands;
};

// kInvalidArgument if the variant does not take these operands and scalars: their number, the row count, a constraint,
// the work items, an operand that is too small, an index that is not below its bound.
Status check_lone_kernel(const LoneKernel &kernel);

// The operands side by side in one block, each in a slot: guard bytes, the operand's extent, guard bytes. No two begin at
// the same place of their slots, so that where one begins cannot be taken for where another does.
class GuardedOperands {
public:
  static constexpr uint32_t kGuardWord = 0xffff5ba7; // as f32 a NaN, as an index one that does not exist; no operand has it
  static constexpr int64_t kGuard = 256; // bytes behind an operand at least; before operand i there are i + 1 times as many

  // check_lone_kernel() has passed. Slots begin at multiples of `alignment` bytes (a power of two from 64 to kGuard)
  // from the block's start, which is aligned to that too; `front` bytes before the first slot are the caller's, zero.
  GuardedOperands(const LoneKernel &kernel, int64_t front, int64_t alignment);

  std::span<std::byte> block() { return {memory_.data() + start_, bytes_}; }
  struct Slot {
    int64_t offset, bytes; // in the block
    int64_t before;        // guard bytes before the operand: where it begins in the slot
    int64_t extent;        // of the operand
  };
  std::span<const Slot> slots() const { return slots_; }

  // Copies the extents back to the operands. kInternal, and no copy, if a guard byte has changed.
  Status take_back(const LoneKernel &kernel);

private:
  std::vector<Slot> slots_;
  std::vector<std::byte> memory_;
  size_t start_ = 0, bytes_ = 0;
};

} // namespace llmrt
