// Shared by the linears on float, int8 and bf16 inputs, and by the kinds that end in one: `linear` and `linear_heads`.
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
  int64_t blocksPerUnit() const { return gated ? 2 : 1; }
  int64_t ldIndex(int64_t row) const { return 7 + row; }
  int64_t scalesIndex() const { return 7 + rows; } // of int8 inputs
  int64_t scalarCount() const { return scalesIndex() + (int8() ? 1 : 0); }
  bool int8() const { return inputs == LinearInputs::Int8; }
  // Columns that the scalar C counts, of int8 and bf16 inputs.
  int64_t columnsPerChunk() const { return scheme ? scheme->columns_per_chunk() : 32; }
};

LinearConfig readLinearConfig(exec::KernelOp kernel);

// The scalars that every such kind begins with.
enum LinearScalars {
  kLinearRows, kLinearColumns, kLinearOutputs, kLinearBlocks, kLinearChunks, kLinearLdX, kLinearLdOut
};
// Its operands up to the vectors, what must hold between the sizes, and the variants.
void describeLinear(const LinearConfig &config, exec::KernelOp kernel, const codegen::CpuTier &tier, KernelInfo &info);
// Bytes of scratch that the products need: multiples of 64.
struct LinearScratch {
  int64_t fixed, perChunk = 0;
  Expression bytes() const { return Expression(fixed) + Expression(perChunk) * s(kLinearChunks); }
};
LinearScratch linearScratch(const LinearConfig &config, const codegen::CpuTier &tier);

// Rows of the step that an item is computed for at once, at most.
int64_t rowsAtOnce(const LinearConfig &config, const codegen::CpuTier &tier);

// The dispatch of a linear, loaded in the entry block.
struct LinearDispatch {
  Value n, columns, outputs, blocks, chunks, ldX, ldOut, scales;
  Value x, corr, scale, weight;
  Values rows, rowLds, vectors;
  int operands = 0; // that these are: the index of the next
  LinearDispatch(KernelBuilder &k, const LinearConfig &config);
};

// What becomes of a linear's outputs. They come in units of 16, which a row block of the weight gives (two where gated);
// a work item is one or more units. Rows of the step come in tiles of up to rowsAtOnce().
class LinearOutputs {
public:
  virtual ~LinearOutputs() = default;
  virtual Value mostUnits() = 0; // of an item
  // Calls body(unit) for each unit of the item.
  virtual void units(Value item, const KernelBuilder::Body &body) = 0;
  // A unit's outputs, after the epilogue, of row `row` of the tile that begins at row `first` of the step.
  virtual void take(Value unit, Value first, Value row, Value outputs) = 0;
  // After all units of the item have been taken for all `rows` of the tile.
  virtual void finish(Value item, Value first, Value rows) = 0;
};

// Applies the epilogue to the accumulators of a unit (two where gated) of row `first` + `row` of the step, and hands the
// result on.
void finishUnit(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs, Value unit,
                Value first, Value row, ValueRange accumulators);

void emitLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                const VariantInfo &variant);

// By inputs.
void emitFloatLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                     const VariantInfo &variant);
void emitInt8Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                    const VariantInfo &variant);
void emitBf16Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                    const VariantInfo &variant);
LinearScratch int8Scratch(const LinearConfig &config, const codegen::CpuTier &tier);
LinearScratch bf16Scratch(const LinearConfig &config, const codegen::CpuTier &tier);

} // namespace llmc::cpu
