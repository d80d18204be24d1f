// The kernel table at the start of a code segment (runtime/abi/kernel.h), checked.
#pragma once

#include "runtime/abi/kernel.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace llmrt {

inline constexpr uint32_t kMaxKernelScalars = 64;
inline constexpr uint32_t kMaxKernelOperands = 64;
inline constexpr uint32_t kMaxOperandAlignment = 4096; // what every base address is aligned to: the smallest page

// A view of a segment, which must outlive it. After parse() every index in it is in bounds, every entry lies in the
// code, and each kernel's variants cover all row counts.
class CodeTable {
public:
  // `segment` must be 8-byte aligned. Errors name the entry.
  static Result<CodeTable> parse(std::span<const std::byte> segment);

  const llmrt_code_header &header() const { return *reinterpret_cast<const llmrt_code_header *>(segment_.data()); }
  std::span<const std::byte> segment() const { return segment_; }
  std::span<const llmrt_kernel_entry> entries() const { return entries_; }
  // All variants of the kernel, ascending in rows; empty if it is not here. `id` has 16 bytes.
  std::span<const llmrt_kernel_entry> find(std::span<const uint8_t> id) const;

  std::span<const llmrt_operand> operands(const llmrt_kernel_entry &entry) const {
    return operands_.subspan(entry.first_operand, entry.operand_count);
  }
  std::span<const llmrt_constraint> constraints(const llmrt_kernel_entry &entry) const {
    return constraints_.subspan(entry.first_constraint, entry.constraint_count);
  }
  std::span<const llmrt_term> terms(llmrt_expression expression) const {
    return terms_.subspan(expression.first_term, expression.term_count);
  }
  // The value on the given scalars, or nothing on overflow.
  std::optional<int64_t> evaluate(llmrt_expression expression, std::span<const int64_t> scalars) const;

private:
  Status check_layout();
  Status check_entry(uint32_t index) const;
  Status check_expression(llmrt_expression expression, uint32_t scalar_count) const;
  Status check_operand(const llmrt_operand &operand, uint32_t scalar_count) const;
  Status index_variants();

  std::span<const std::byte> segment_;
  std::span<const llmrt_kernel_entry> entries_;
  std::span<const llmrt_operand> operands_;
  std::span<const llmrt_constraint> constraints_;
  std::span<const llmrt_term> terms_;
  // The entries of each kernel [first, last), sorted by id.
  std::vector<std::pair<uint32_t, uint32_t>> kernels_;
};

} // namespace llmrt
