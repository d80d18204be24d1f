#include "codegen/cpu/SegmentTable.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

namespace llmc::cpu {

std::string kernelSymbol(const DescribedKernel &kernel, size_t variant) {
  // Apart from what the tier's base has at that place.
  const char *own = kernel.info.variants[variant].ofTierAlone ? "_own" : "";
  return "k_" + kernel.idText() + "_" + std::to_string(variant) + own;
}

llmrt_expression SegmentTable::expression(const Expression &source) {
  llmrt_expression result{uint32_t(terms.size()), uint32_t(source.terms().size())};
  for (const Expression::Term &term : source.terms()) {
    // The table wants the used scalars first.
    llmrt_term out{term.coefficient, {-1, -1, -1}, 0};
    int used = 0;
    for (int16_t scalar : term.scalars)
      if (scalar >= 0) out.scalars[used++] = scalar;
    terms.push_back(out);
  }
  return result;
}

void SegmentTable::add(const DescribedKernel &kernel) {
  const KernelInfo &info = kernel.info;
  llmrt_kernel_entry entry = {};
  std::copy(kernel.id.begin(), kernel.id.end(), entry.id);
  entry.items = expression(info.items);
  entry.scratch = expression(info.scratch);
  entry.first_operand = operands.size();
  entry.operand_count = info.operands.size();
  for (const OperandInfo &o : info.operands)
    operands.push_back({o.access, o.alignment, expression(o.extent), expression(o.maximum)});
  entry.first_constraint = constraints.size();
  entry.constraint_count = info.constraints.size();
  for (const Expression &c : info.constraints) constraints.push_back({expression(c)});
  entry.scalar_count = info.scalarCount;
  entry.grain = info.grain;
  for (const VariantInfo &variant : info.variants) {
    entry.first_rows = variant.firstRows;
    entry.last_rows = variant.lastRows;
    entries.push_back(entry);
    if (variant.items) entries.back().items = expression(*variant.items);
    if (variant.grain) entries.back().grain = *variant.grain;
  }
}

template <typename T> static void append(std::vector<char> &bytes, const std::vector<T> &values) {
  const char *data = reinterpret_cast<const char *>(values.data());
  bytes.insert(bytes.end(), data, data + values.size() * sizeof(T));
}

std::vector<char> SegmentTable::layOut(uint32_t architecture, uint64_t features, llvm::ArrayRef<char> code) {
  llmrt_code_header header = {};
  std::copy_n(LLMRT_CODE_MAGIC, 8, header.magic);
  header.abi_version = LLMRT_ABI_VERSION;
  header.architecture = architecture;
  header.kernel_count = entries.size();
  header.operand_count = operands.size();
  header.constraint_count = constraints.size();
  header.term_count = terms.size();
  header.features = features;
  header.code_bytes = code.size();
  uint64_t tableBytes = sizeof(header) + entries.size() * sizeof(llmrt_kernel_entry) +
                        operands.size() * sizeof(llmrt_operand) + constraints.size() * sizeof(llmrt_constraint) +
                        terms.size() * sizeof(llmrt_term);
  // arm64 addresses constants by 4 KB page: the image keeps its alignment.
  header.code_offset = llvm::alignTo(tableBytes, 4096);
  for (llmrt_kernel_entry &entry : entries) entry.entry += header.code_offset;

  std::vector<char> bytes;
  append(bytes, std::vector<llmrt_code_header>{header});
  append(bytes, entries);
  append(bytes, operands);
  append(bytes, constraints);
  append(bytes, terms);
  bytes.resize(header.code_offset);
  bytes.insert(bytes.end(), code.begin(), code.end());
  return bytes;
}

} // namespace llmc::cpu
