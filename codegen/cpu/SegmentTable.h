// The table in front of a code segment (runtime/abi/kernel.h), of any target.
#pragma once

#include "codegen/cpu/DescribedKernel.h"
#include "runtime/abi/kernel.h"

#include <string>
#include <vector>

namespace llmc::cpu {

// The name of a variant's function.
std::string kernelSymbol(const DescribedKernel &kernel, size_t variant);

struct SegmentTable {
  std::vector<llmrt_kernel_entry> entries;
  std::vector<llmrt_operand> operands;
  std::vector<llmrt_constraint> constraints;
  std::vector<llmrt_term> terms;

  // One entry a variant; `entry` and `code_bytes` are for the caller to set, `entry` from the start of the code.
  void add(const DescribedKernel &kernel);
  // The whole segment. The code begins at a multiple of 4 KB.
  std::vector<char> layOut(uint32_t architecture, uint64_t features, llvm::ArrayRef<char> code);

private:
  llmrt_expression expression(const Expression &source);
};

} // namespace llmc::cpu
