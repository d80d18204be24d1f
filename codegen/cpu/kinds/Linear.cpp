// linear: y = x W^T with an epilogue. Each lane of a vector is an output; the order of additions is llm.linear's.
#include "codegen/cpu/kinds/Linear.h"

#include "codegen/cpu/PairDot.h"
#include "codegen/cpu/kinds/LinearTiles.h"
#include "codegen/cpu/kinds/TileProducts.h"
#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

// The inputs, and what must hold between their sizes.
void describeInputs(const LinearConfig &c, const codegen::CpuTier &tier, KernelInfo &info) {
  Expression padded = Expression(c.columnsPerChunk()) * s(kLinearChunks); // of int8 and bf16 inputs
  switch (c.inputs) {
  case LinearInputs::Int8:
    info.require(padded - s(kLinearColumns));
    info.requireCeil(padded, s(int(c.scalesIndex())), 128);
    info.reads(s(kLinearRows) * padded);
    info.reads(Expression(4 * 2) * s(kLinearRows) * s(kLinearChunks));
    info.reads(Expression(4) * s(kLinearRows) * s(int(c.scalesIndex())));
    return;
  case LinearInputs::Bf16:
    info.requireCeil(s(kLinearColumns), s(kLinearChunks), c.columnsPerChunk());
    info.reads(Expression(PairDot::inputBytes(tier)) * s(kLinearRows) * padded);
    return;
  case LinearInputs::Float:
    if (c.scheme) {
      info.requireCeil(s(kLinearColumns), s(kLinearChunks), c.columnsPerChunk());
    } else {
      info.require(s(kLinearChunks) - s(kLinearColumns));
      info.require(s(kLinearColumns) - s(kLinearChunks));
    }
    info.readsRows(s(kLinearRows), s(kLinearColumns), s(kLinearLdX));
  }
}

// Rows computed together: what the tier's registers hold. Int8 dots take a strip of outputs at a time on AVX2, and with
// NEON's sdot, to which four inputs are one register.
int rowsTogether(const LinearConfig &c, const codegen::CpuTier &tier) {
  bool strips = tier.vectorBits == 256 || tier.features & LLMRT_FEATURE_DOTPROD;
  return tier.vectorBits == 512 || (strips && c.int8()) ? 8 : 4;
}

// With a known row count every address within a tile is a constant: what small batches decode with.
void addVariants(const LinearConfig &c, const codegen::CpuTier &tier, KernelInfo &info) {
  int width = rowsTogether(c, tier);
  info.variants = {{0, 1, 1}};
  if (c.inputs == LinearInputs::Float) return info.variants.push_back({2, INT64_MAX, width});
  for (int rows = 2; rows <= 8; ++rows) info.variants.push_back({rows, rows, std::min(rows, width)});
  if (c.int8() && TileProducts::areThere(tier)) {
    info.variants.push_back({TileProducts::kFirstRows, INT64_MAX, width});
    for (VariantInfo &variant : info.variants)
      variant.ofTierAlone = variant.lastRows <= 2 || variant.firstRows == TileProducts::kFirstRows;
    return;
  }
  info.variants.push_back({9, kTileRows - 1, width});
  info.variants.push_back({kTileRows, INT64_MAX, width});
}

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  LinearConfig c = readLinearConfig(kernel);
  KernelInfo info;
  info.scalarCount = int(c.scalarCount());
  info.items = s(kLinearBlocks);
  info.grain = 4;
  describeLinear(c, kernel, tier, info);
  info.writesRows(s(kLinearRows), s(kLinearOutputs), s(kLinearLdOut));
  info.scratch = linearScratch(c, tier).bytes();
  if (VariantInfo &most = info.variants.back(); most.ofTierAlone) most.grain = 16; // each piece copies all rows
  return info;
}

// Every unit is an item, and goes to its columns of the output.
class Rows : public LinearOutputs {
public:
  Rows(KernelBuilder &k, const LinearDispatch &d) : k(k), d(d), out(k.operand(d.operands)) {}

  Value mostUnits() override { return k.i64(1); }
  void units(Value item, const KernelBuilder::Body &body) override { body(item); }
  void take(Value unit, Value first, Value row, Value outputs) override {
    Value column = k.mul(unit, kLanes), there = k.add(k.mul(k.add(first, row), d.ldOut), column);
    k.storeColumns(outputs, k.at(out, k.mul(there, 4)), k.sub(d.outputs, column));
  }
  void finish(Value, Value, Value) override {}

private:
  KernelBuilder &k;
  const LinearDispatch &d;
  Value out;
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  LinearConfig config = readLinearConfig(kernel);
  LinearDispatch d(k, config);
  Rows outputs(k, d);
  emitLinear(k, config, d, outputs, variant);
}

} // namespace

LinearConfig readLinearConfig(exec::KernelOp kernel) {
  llvm::StringRef activations = configString(kernel, "activations");
  LinearInputs inputs = activations == "int8"   ? LinearInputs::Int8
                        : activations == "bf16" ? LinearInputs::Bf16
                                                : LinearInputs::Float;
  // Gates and rows belong to some of the kinds only.
  return {inputs, kernel.getFlag("gated"), kernel.getInteger("rows"), configInt(kernel, "vectors"),
          configString(kernel, "element"), configScheme(kernel), &kernel.getEpilogue()};
}

void describeLinear(const LinearConfig &c, exec::KernelOp kernel, const codegen::CpuTier &tier, KernelInfo &info) {
  info.requireCeil(s(kLinearOutputs), s(kLinearBlocks), kLanes);
  describeInputs(c, tier, info);
  Expression columnsStored = c.scheme ? s(kLinearChunks) : s(kLinearColumns);
  info.reads(Expression(c.blocksPerUnit()) * matrixBytes(kernel, s(kLinearBlocks), columnsStored), 64);
  for (int64_t i = 0; i < c.rows; ++i) info.readsRows(s(kLinearRows), s(kLinearOutputs), s(int(c.ldIndex(i))));
  for (int64_t i = 0; i < c.vectors; ++i) info.reads(Expression(4 * kLanes * c.blocksPerUnit()) * s(kLinearBlocks));
  addVariants(c, tier, info);
}

int64_t rowsAtOnce(const LinearConfig &config, const codegen::CpuTier &tier) {
  return config.int8() && TileProducts::areThere(tier) ? TileProducts::kTogether * kTileRows : kTileRows;
}

LinearScratch linearScratch(const LinearConfig &config, const codegen::CpuTier &tier) {
  switch (config.inputs) {
  case LinearInputs::Float:
    return {0};
  case LinearInputs::Int8:
    return int8Scratch(config, tier);
  case LinearInputs::Bf16:
    return bf16Scratch(config, tier);
  }
}

LinearDispatch::LinearDispatch(KernelBuilder &k, const LinearConfig &config) {
  x = k.operand(operands++);
  if (config.int8()) {
    corr = k.operand(operands++);
    scale = k.operand(operands++);
    scales = k.scalar(int(config.scalesIndex()));
  }
  weight = k.operand(operands++);
  for (int64_t i = 0; i < config.rows; ++i) {
    rows.push_back(k.operand(operands++));
    rowLds.push_back(k.scalar(int(config.ldIndex(i))));
  }
  for (int64_t i = 0; i < config.vectors; ++i) vectors.push_back(k.operand(operands++));
  n = k.scalar(kLinearRows);
  columns = k.scalar(kLinearColumns);
  outputs = k.scalar(kLinearOutputs);
  blocks = k.scalar(kLinearBlocks);
  chunks = k.scalar(kLinearChunks);
  ldX = k.scalar(kLinearLdX);
  ldOut = k.scalar(kLinearLdOut);
}

void finishUnit(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs, Value unit,
                Value first, Value row, ValueRange accumulators) {
  Value column = k.mul(unit, kLanes), valid = k.sub(d.outputs, column);
  EpilogueInputs inputs;
  inputs.accumulators.assign(accumulators.begin(), accumulators.end());
  for (auto [pointer, ld] : llvm::zip(d.rows, d.rowLds)) {
    Value there = k.add(k.mul(k.add(first, row), ld), column);
    inputs.rows.push_back(k.loadColumns(k.at(pointer, k.mul(there, 4)), valid));
  }
  for (Value vector : d.vectors)
    for (int64_t i = 0; i < config.blocksPerUnit(); ++i) {
      Value block = k.add(k.mul(unit, config.blocksPerUnit()), i);
      inputs.vectors.push_back(k.loadVec(k.at(vector, k.mul(block, 4 * kLanes))));
    }
  outputs.take(unit, first, row, emitEpilogue(k, *config.epilogue, inputs));
}

void emitLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                const VariantInfo &variant) {
  switch (config.inputs) {
  case LinearInputs::Float:
    return emitFloatLinear(k, config, d, outputs, variant);
  case LinearInputs::Int8:
    return emitInt8Linear(k, config, d, outputs, variant);
  case LinearInputs::Bf16:
    return emitBf16Linear(k, config, d, outputs, variant);
  }
}

const KindEmitter kLinear = {"linear", describe, emit};

} // namespace llmc::cpu
