// A kernel dispatch against every tier that runs it: each variant's constraints, extents, alignments, accesses and index
// bounds, with the dispatch's scalars put in. Scalars are constants or a multiple of one symbol, so every expression
// becomes a polynomial in symbols and is compared for all values of them at once.
#include "runtime/artifact/verify_internal.h"

#include <algorithm>

namespace llmrt::verify_internal {

namespace {

constexpr int64_t kMaxScalar = int64_t(1) << 40;

using Scalars = flatbuffers::Vector<const schema::Scalar *>;

Polynomial substitute(const CodeTable &table, llmrt_expression expression, const Scalars *scalars) {
  Polynomial result;
  for (const llmrt_term &term : table.terms(expression)) {
    int64_t coefficient = term.coefficient;
    Monomial monomial;
    for (int16_t index : term.scalars) {
      if (index < 0)
        continue;
      const schema::Scalar &scalar = *scalars->Get(uint32_t(index));
      if (__builtin_mul_overflow(coefficient, scalar.value(), &coefficient) || !monomial.multiply(scalar.symbol()))
        result.set_overflow();
    }
    result.add(coefficient, monomial);
  }
  return result;
}

Status check_scalars(const Context &context, const Scalars *scalars, const std::string &where) {
  if (!is_aligned(scalars))
    return corrupt(where, "its scalars are not aligned in the metadata");
  for (uint32_t i = 0; i < count_of(scalars); ++i) {
    const schema::Scalar &scalar = *scalars->Get(i);
    if (!symbol_exists(context, scalar.symbol()))
      return corrupt(where + ": scalar " + std::to_string(i), "names a symbol that does not exist");
    if (scalar.value() < 0 || scalar.value() > kMaxScalar)
      return corrupt(where + ": scalar " + std::to_string(i), "is out of range");
  }
  return ok_status();
}

Status check_variant_operand(const CodeTable &table, const llmrt_operand &operand, const Target &target,
                             const Scalars *scalars, const std::string &where) {
  if ((operand.access & LLMRT_ACCESS_WRITE) && !target.writable)
    return corrupt(where, "the kernel writes what may not be written");
  if (!target.offset.multiple_of(operand.alignment))
    return corrupt(where, "is not aligned as the kernel needs it");
  // Offsets are those of the largest step, extents those of any: only the part that grows with the step can be
  // compared at the largest.
  Polynomial end = substitute(table, operand.extent, scalars).growing_part();
  end.add(target.start);
  if (!target.bytes.dominates(end))
    return corrupt(where, "the kernel reaches past its end");
  if (operand.maximum.term_count == 0)
    return ok_status();
  Polynomial maximum = substitute(table, operand.maximum, scalars);
  bool bounded = std::any_of(target.value_bounds.begin(), target.value_bounds.end(),
                             [&](const Polynomial &bound) { return maximum.dominates(bound); });
  return bounded ? ok_status() : corrupt(where, "its values may be larger than the kernel takes");
}

Status check_variant(const CodeTable &table, const llmrt_kernel_entry &entry, std::span<const Target> targets,
                     const Scalars *scalars, const std::string &where) {
  if (entry.operand_count != targets.size())
    return corrupt(where, "the kernel takes another number of operands");
  if (entry.scalar_count != count_of(scalars))
    return corrupt(where, "the kernel takes another number of scalars");
  for (const llmrt_constraint &constraint : table.constraints(entry))
    if (!substitute(table, constraint.value, scalars).non_negative())
      return corrupt(where, "the scalars do not meet a constraint of the kernel");
  for (llmrt_expression expression : {entry.items, entry.scratch})
    if (substitute(table, expression, scalars).overflowed())
      return corrupt(where, "the work items or the scratch memory overflow");
  std::span<const llmrt_operand> operands = table.operands(entry);
  for (size_t i = 0; i < operands.size(); ++i)
    if (Status status = check_variant_operand(table, operands[i], targets[i], scalars,
                                              where + ", operand " + std::to_string(i));
        !status.ok())
      return status;
  return ok_status();
}

} // namespace

Status check_kernel_dispatch(const Context &context, const schema::KernelDispatch &dispatch, const Tiers &tiers,
                             const std::string &where) {
  if (dispatch.kernel() >= count_of(context.meta.kernels()))
    return corrupt(where, "names a kernel that does not exist");
  const schema::Kernel &kernel = *context.meta.kernels()->Get(dispatch.kernel());
  if (Status status = check_scalars(context, dispatch.scalars(), where); !status.ok())
    return status;
  if (count_of(dispatch.operands()) > kMaxKernelOperands)
    return corrupt(where, "has too many operands");
  std::vector<Target> targets;
  for (uint32_t i = 0; i < count_of(dispatch.operands()); ++i) {
    Result<Target> target =
        check_operand(context, *dispatch.operands()->Get(i), where + ", operand " + std::to_string(i));
    if (!target)
      return target.status();
    targets.push_back(*std::move(target));
  }
  for (const Tier *tier : tiers) {
    std::string there = where + " (" + printable(text_of(kernel.name())) + ", " + printable(tier->name) + ")";
    std::span<const llmrt_kernel_entry> variants = tier->table.find({kernel.id()->data(), kernel.id()->size()});
    if (variants.empty())
      return corrupt(there, "the tier does not have this kernel");
    for (const llmrt_kernel_entry &entry : variants)
      if (Status status = check_variant(tier->table, entry, targets, dispatch.scalars(), there); !status.ok())
        return status;
  }
  return ok_status();
}

} // namespace llmrt::verify_internal
