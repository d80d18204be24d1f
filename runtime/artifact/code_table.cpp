#include "runtime/artifact/code_table.h"

#include "runtime/artifact/gpu_module.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace llmrt {

static_assert(sizeof(llmrt_code_header) == 48 && sizeof(llmrt_kernel_entry) == 88 && sizeof(llmrt_operand) == 24 &&
              sizeof(llmrt_constraint) == 8 && sizeof(llmrt_term) == 16);

namespace {

// Far above what any model needs; keeps a damaged count from costing time.
constexpr uint32_t kMaxKernels = 1u << 16, kMaxTableRows = 1u << 20;
constexpr uint32_t kMaxConstraints = 256, kMaxTerms = 64;

Status corrupt(std::string message) { return Status(StatusCode::kCorrupt, std::move(message)); }

int compare_ids(const llmrt_kernel_entry &a, const llmrt_kernel_entry &b) {
  return std::memcmp(a.id, b.id, sizeof a.id);
}

bool in_range(uint32_t first, uint32_t count, size_t size) { return first <= size && count <= size - first; }

} // namespace

Result<CodeTable> CodeTable::parse(std::span<const std::byte> segment) {
  CodeTable table;
  table.segment_ = segment;
  if (Status status = table.check_layout(); !status.ok())
    return status;
  for (uint32_t i = 0; i < table.entries_.size(); ++i)
    if (Status status = table.check_entry(i); !status.ok())
      return corrupt("kernel entry " + std::to_string(i) + ": " + status.message());
  if (Status status = table.index_variants(); !status.ok())
    return status;
  return table;
}

Status CodeTable::check_layout() {
  if (segment_.size() < sizeof(llmrt_code_header) || reinterpret_cast<uintptr_t>(segment_.data()) % 8 != 0)
    return corrupt("too small for the header of a code segment");
  const llmrt_code_header &head = header();
  if (std::memcmp(head.magic, LLMRT_CODE_MAGIC, sizeof head.magic) != 0)
    return corrupt("the first bytes are not " LLMRT_CODE_MAGIC);
  if (head.abi_version != LLMRT_ABI_VERSION)
    return Status(StatusCode::kUnsupported, "kernel ABI version " + std::to_string(head.abi_version) +
                                                ", this build runs version " + std::to_string(LLMRT_ABI_VERSION));
  if (head.architecture < LLMRT_ARCH_X86_64 || head.architecture > LLMRT_ARCH_CUBIN)
    return corrupt("unknown architecture " + std::to_string(head.architecture));
  if (head.kernel_count > kMaxKernels || head.operand_count > kMaxTableRows || head.constraint_count > kMaxTableRows ||
      head.term_count > kMaxTableRows)
    return corrupt("a table of kernels has too many rows");
  uint64_t entries = sizeof(llmrt_code_header);
  uint64_t operands = entries + uint64_t(head.kernel_count) * sizeof(llmrt_kernel_entry);
  uint64_t constraints = operands + uint64_t(head.operand_count) * sizeof(llmrt_operand);
  uint64_t terms = constraints + uint64_t(head.constraint_count) * sizeof(llmrt_constraint);
  uint64_t end = terms + uint64_t(head.term_count) * sizeof(llmrt_term);
  if (end > head.code_offset || uint64_t(head.code_offset) + head.code_bytes > segment_.size())
    return corrupt("the tables or the code do not lie in the segment");
  const std::byte *base = segment_.data();
  entries_ = {reinterpret_cast<const llmrt_kernel_entry *>(base + entries), head.kernel_count};
  operands_ = {reinterpret_cast<const llmrt_operand *>(base + operands), head.operand_count};
  constraints_ = {reinterpret_cast<const llmrt_constraint *>(base + constraints), head.constraint_count};
  terms_ = {reinterpret_cast<const llmrt_term *>(base + terms), head.term_count};
  return ok_status();
}

Status CodeTable::check_expression(llmrt_expression expression, uint32_t scalar_count) const {
  if (expression.term_count > kMaxTerms || !in_range(expression.first_term, expression.term_count, terms_.size()))
    return corrupt("an expression's terms do not lie in the table");
  for (const llmrt_term &term : terms(expression)) {
    if (term.reserved != 0)
      return corrupt("a term's reserved bytes are not zero");
    for (int16_t scalar : term.scalars)
      if (scalar < -1 || scalar >= int32_t(scalar_count))
        return corrupt("a term names scalar " + std::to_string(scalar) + " of " + std::to_string(scalar_count));
  }
  return ok_status();
}

Status CodeTable::check_operand(const llmrt_operand &operand, uint32_t scalar_count) const {
  if (operand.access == 0 || (operand.access & ~(LLMRT_ACCESS_READ | LLMRT_ACCESS_WRITE)) != 0)
    return corrupt("an operand's access is " + std::to_string(operand.access));
  if (!std::has_single_bit(operand.alignment) || operand.alignment > kMaxOperandAlignment)
    return corrupt("an operand's alignment is " + std::to_string(operand.alignment));
  if (Status status = check_expression(operand.extent, scalar_count); !status.ok())
    return status;
  return check_expression(operand.maximum, scalar_count);
}

Status CodeTable::check_entry(uint32_t index) const {
  const llmrt_kernel_entry &entry = entries_[index];
  uint64_t code_end = uint64_t(header().code_offset) + header().code_bytes;
  if (entry.entry < header().code_offset || entry.code_bytes == 0 ||
      entry.entry + uint64_t(entry.code_bytes) > code_end)
    return corrupt("its code does not lie in the segment's");
  if (header().architecture != LLMRT_ARCH_X86_64 && entry.entry % 4 != 0)
    return corrupt("its first instruction is not aligned");
  if (Status status = check_module(header().architecture, segment_.subspan(entry.entry, entry.code_bytes)); !status.ok())
    return status;
  if (entry.scalar_count == 0 || entry.scalar_count > kMaxKernelScalars)
    return corrupt("it has " + std::to_string(entry.scalar_count) + " scalars");
  if (entry.grain == 0)
    return corrupt("its grain is 0");
  if (entry.operand_count > kMaxKernelOperands ||
      !in_range(entry.first_operand, entry.operand_count, operands_.size()))
    return corrupt("its operands do not lie in the table");
  if (entry.constraint_count > kMaxConstraints ||
      !in_range(entry.first_constraint, entry.constraint_count, constraints_.size()))
    return corrupt("its constraints do not lie in the table");
  for (llmrt_expression expression : {entry.items, entry.scratch})
    if (Status status = check_expression(expression, entry.scalar_count); !status.ok())
      return status;
  for (const llmrt_operand &operand : operands(entry))
    if (Status status = check_operand(operand, entry.scalar_count); !status.ok())
      return status;
  for (const llmrt_constraint &constraint : constraints(entry))
    if (Status status = check_expression(constraint.value, entry.scalar_count); !status.ok())
      return status;
  return ok_status();
}

Status CodeTable::index_variants() {
  uint32_t count = uint32_t(entries_.size());
  for (uint32_t first = 0; first < count;) {
    auto wrong = [&](uint32_t at, const char *what) {
      return corrupt("kernel entry " + std::to_string(at) + ": " + what);
    };
    if (entries_[first].first_rows != 0)
      return wrong(first, "the kernel's first variant does not begin at 0 rows");
    uint32_t last = first;
    while (entries_[last].last_rows != INT64_MAX) {
      if (entries_[last].last_rows < entries_[last].first_rows)
        return wrong(last, "its range of rows is empty");
      if (last + 1 == count || compare_ids(entries_[last], entries_[last + 1]) != 0)
        return wrong(last, "the kernel's variants do not cover all numbers of rows");
      if (entries_[last + 1].first_rows != entries_[last].last_rows + 1)
        return wrong(last + 1, "its range of rows leaves a gap or overlaps the one before");
      if (entries_[last + 1].scalar_count != entries_[first].scalar_count ||
          entries_[last + 1].operand_count != entries_[first].operand_count)
        return wrong(last + 1, "its scalars or operands are not as many as those of the kernel's other variants");
      ++last;
    }
    kernels_.push_back({first, last + 1});
    first = last + 1;
  }
  auto less = [&](const auto &a, const auto &b) { return compare_ids(entries_[a.first], entries_[b.first]) < 0; };
  std::sort(kernels_.begin(), kernels_.end(), less);
  for (size_t i = 1; i < kernels_.size(); ++i)
    if (!less(kernels_[i - 1], kernels_[i]))
      return corrupt("kernel entry " + std::to_string(kernels_[i].first) + ": its id is there twice");
  return ok_status();
}

std::span<const llmrt_kernel_entry> CodeTable::find(std::span<const uint8_t> id) const {
  llmrt_kernel_entry key{};
  if (id.size() != sizeof key.id)
    return {};
  std::memcpy(key.id, id.data(), sizeof key.id);
  auto at = std::lower_bound(kernels_.begin(), kernels_.end(), key, [&](const auto &range, const auto &wanted) {
    return compare_ids(entries_[range.first], wanted) < 0;
  });
  if (at == kernels_.end() || compare_ids(entries_[at->first], key) != 0)
    return {};
  return entries_.subspan(at->first, at->second - at->first);
}

std::optional<int64_t> CodeTable::evaluate(llmrt_expression expression, std::span<const int64_t> scalars) const {
  int64_t sum = 0;
  for (const llmrt_term &term : terms(expression)) {
    int64_t product = term.coefficient;
    for (int16_t scalar : term.scalars)
      if (scalar >= 0 && __builtin_mul_overflow(product, scalars[size_t(scalar)], &product))
        return std::nullopt;
    if (__builtin_add_overflow(sum, product, &sum))
      return std::nullopt;
  }
  return sum;
}

} // namespace llmrt
