// Shared by the linears on float, int8 and bf16 inputs.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

enum class LinearInputs { Float, Int8, Bf16 };

struct LinearConfig {
  LinearInputs inputs;
  bool gated;
  int64_t rows, vectors; // operands of the epilogue
  llvm::StringRef element;
  const Scheme *scheme;
  mlir::Region *epilogue;
  int64_t blocksPerItem() const { return gated ? 2 : 1; }
  int64_t ldIndex(int64_t row) const { return 7 + row; }
  int64_t scalesIndex() const { return 7 + rows; } // of int8 inputs
  bool int8() const { return inputs == LinearInputs::Int8; }
  // Columns that the scalar C counts, of int8 and bf16 inputs.
  int64_t columnsPerChunk() const { return scheme ? scheme->columns_per_chunk() : 32; }
};

LinearConfig readLinearConfig(exec::KernelOp kernel);

// The dispatch of a linear, loaded in the entry block.
struct LinearDispatch {
  Value n, columns, outputs, blocks, chunks, ldX, ldOut, scales;
  Value x, corr, scale, weight, out;
  Values rows, rowLds, vectors;
  LinearDispatch(KernelBuilder &k, const LinearConfig &config);
};

// Applies the epilogue to the accumulators of item `item` (16 outputs; two accumulators where gated) of row `row` and
// stores the result.
void finishLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, Value item, Value row,
                  ValueRange accumulators);

void emitFloatLinear(KernelBuilder &k, const LinearConfig &config, const VariantInfo &variant);
void emitInt8Linear(KernelBuilder &k, const LinearConfig &config, const VariantInfo &variant);
void emitBf16Linear(KernelBuilder &k, const LinearConfig &config, const VariantInfo &variant);

// Of a thread.
int64_t int8ScratchBytes();
int64_t bf16ScratchBytes(const LinearConfig &config);

} // namespace llmc::cpu
