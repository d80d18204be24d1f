// What becomes of a linear's sums: the epilogue, and a value of the output.
#pragma once

#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

inline constexpr int64_t kSlices = 8; // of a workgroup, 16 threads each

struct LinearOutput {
  GpuBuilder &k;
  exec::KernelOp kernel;
  int firstRow; // operand: of the epilogue's rows, then its vectors, then the output
  int rows, vectors;

  LinearOutput(GpuBuilder &k, exec::KernelOp kernel, int firstRow)
      : k(k), kernel(kernel), firstRow(firstRow), rows(int(cpu::configInt(kernel, "rows"))),
        vectors(int(cpu::configInt(kernel, "vectors"))) {}

  // Output `lane` of row block `item`, of row `row`, where there are such. Gated it has two sums.
  void store(Value item, Value row, Value lane, ValueRange sums);
};

// The linear whose input is int8 rows, in a workgroup of the same size.
void emitInt8Linear(GpuBuilder &k, exec::KernelOp kernel, const cpu::VariantInfo &variant);

} // namespace llmc::gpu
