// Golden vectors: small dispatches of a kernel with what must come of them, by the oracle. They go into the artifact, and
// the runtime tries every kernel on one before it trusts it.
#pragma once

#include "codegen/Codegen.h"

#include <string>
#include <vector>

namespace llmc::golden {

// Bytes [offset, offset + expected.size()) of an operand after the kernel has run.
struct Result {
  size_t operand = 0, offset = 0;
  std::vector<char> expected;
  // Of f32 values: how far they may lie from the expected ones, over the largest size of those. 0: the bytes are these.
  double bound = 0;
};

struct Golden {
  std::vector<int64_t> scalars;
  std::vector<std::vector<char>> operands; // each exactly the kernel's extent; what it writes is zero at first
  std::vector<Result> results;
};

// For each row count that the variants of the kernel begin with, on any tier of the CPU and, if `gpus`, on any GPU. A
// variant is tried on the vectors of its row counts whose operands have its extents: tiers that want other bytes (bf16
// rows) have vectors of their own. Deterministic.
std::vector<Golden> makeGoldens(exec::KernelOp kernel, bool gpus);
// The same for one row count of the caller's.
std::vector<Golden> makeGoldensOfRows(exec::KernelOp kernel, int64_t rows);

} // namespace llmc::golden
