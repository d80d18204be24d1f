// A golden vector while it is made.
#pragma once

#include "codegen/cpu/KernelInfo.h"
#include "codegen/golden/Golden.h"
#include "codegen/golden/Operands.h"
#include "codegen/reference/Epilogue.h"

namespace llmc::golden {

struct Draft {
  exec::KernelOp kernel;
  cpu::KernelInfo info; // on the tier whose extents count
  Golden golden;

  Draft(exec::KernelOp kernel, const codegen::CpuTier &tier, std::vector<int64_t> scalars);

  int64_t rows() const { return golden.scalars[0]; }
  // Operands, in the kernel's order; padded with zeros to the extent.
  void add(Bytes bytes);
  void add(const Floats &values) { add(bytesOf(values)); }
  void add(const std::vector<int32_t> &values) { add(bytesOf(values)); }
  // One that the kernel writes; gives its index.
  size_t addResult();
  // From byte `offset` of the operand on.
  void expect(size_t operand, const std::vector<double> &values, double bound, size_t offset = 0);
  void expectBytes(size_t operand, Bytes bytes) { golden.results.push_back({operand, 0, std::move(bytes), 0}); }
};

// What several kinds have in common: a linear's input (gives what the kernel multiplies with), its weight as it is
// multiplied, its epilogue, a rope table of rows at these positions.
std::vector<double> addLinearInput(Draft &draft, int64_t columns, const codegen::CpuTier &tier);
int64_t linearChunks(exec::KernelOp kernel, int64_t columns); // the scalar C
std::vector<double> roundedWeight(exec::KernelOp kernel, const Floats &weight, int64_t rows, int64_t columns);
const Scheme *schemeOf(exec::KernelOp kernel);
reference::Epilogue epilogueOf(exec::KernelOp kernel);
Floats ropeTable(llvm::ArrayRef<float> frequencies, llvm::ArrayRef<int64_t> positions);

// By kind, in files of their own.
Draft makeEmbed(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeNorm(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeLinear(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeLinearHeads(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeMap(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeRopeTable(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeRope(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeCacheWrite(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeAttention(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeAttentionCombine(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);
Draft makeTopK(exec::KernelOp kernel, int64_t rows, const codegen::CpuTier &tier);

} // namespace llmc::golden
