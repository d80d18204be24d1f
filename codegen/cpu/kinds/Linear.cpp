// linear: y = x W^T with an epilogue. Each lane of a vector is an output; the order of additions is llm.linear's.
#include "codegen/cpu/kinds/Linear.h"

#include "codegen/cpu/PairDot.h"
#include "codegen/cpu/kinds/LinearTiles.h"
#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kColumns, kOutputs, kBlocks, kChunks, kLdX, kLdOut };

// The inputs, and what must hold between their sizes.
void describeInputs(const LinearConfig &c, const codegen::CpuTier &tier, KernelInfo &info) {
  Expression padded = Expression(c.columnsPerChunk()) * s(kChunks); // of int8 and bf16 inputs
  switch (c.inputs) {
  case LinearInputs::Int8:
    info.require(padded - s(kColumns));
    info.requireCeil(padded, s(int(c.scalesIndex())), 128);
    info.reads(s(kRows) * padded);
    info.reads(Expression(4 * 2) * s(kRows) * s(kChunks));
    info.reads(Expression(4) * s(kRows) * s(int(c.scalesIndex())));
    return;
  case LinearInputs::Bf16:
    info.requireCeil(s(kColumns), s(kChunks), c.columnsPerChunk());
    info.reads(Expression(PairDot::inputBytes(tier)) * s(kRows) * padded);
    return;
  case LinearInputs::Float:
    if (c.scheme) {
      info.requireCeil(s(kColumns), s(kChunks), c.columnsPerChunk());
    } else {
      info.require(s(kChunks) - s(kColumns));
      info.require(s(kColumns) - s(kChunks));
    }
    info.readsRows(s(kRows), s(kColumns), s(kLdX));
  }
}

// Rows computed together: what the tier's registers hold. NEON's int8 dot takes a strip of outputs at a time, and four
// inputs are one register.
int rowsTogether(const LinearConfig &c, const codegen::CpuTier &tier) {
  bool sdot = tier.features & LLMRT_FEATURE_DOTPROD;
  return tier.vectorBits == 512 || (sdot && c.int8()) ? 8 : 4;
}

// With a known row count every address within a tile is a constant: what small batches decode with.
void addVariants(const LinearConfig &c, const codegen::CpuTier &tier, KernelInfo &info) {
  int width = rowsTogether(c, tier);
  info.variants = {{0, 1, 1}};
  if (c.inputs == LinearInputs::Float) return info.variants.push_back({2, INT64_MAX, width});
  for (int rows = 2; rows <= 8; ++rows) info.variants.push_back({rows, rows, std::min(rows, width)});
  info.variants.push_back({9, kTileRows - 1, width});
  info.variants.push_back({kTileRows, INT64_MAX, width});
}

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  LinearConfig c = readLinearConfig(kernel);
  KernelInfo info;
  info.scalarCount = int(c.scalesIndex()) + (c.int8() ? 1 : 0);
  info.items = s(kBlocks);
  info.grain = 4;
  info.requireCeil(s(kOutputs), s(kBlocks), kLanes);
  describeInputs(c, tier, info);
  Expression columnsStored = c.scheme ? s(kChunks) : s(kColumns);
  info.reads(Expression(c.blocksPerItem()) * matrixBytes(kernel, s(kBlocks), columnsStored), 64);
  for (int64_t i = 0; i < c.rows; ++i) info.readsRows(s(kRows), s(kOutputs), s(int(c.ldIndex(i))));
  for (int64_t i = 0; i < c.vectors; ++i) info.reads(Expression(4 * kLanes * c.blocksPerItem()) * s(kBlocks));
  info.writesRows(s(kRows), s(kOutputs), s(kLdOut));
  if (c.int8()) info.scratch = Expression(int8ScratchBytes());
  if (c.inputs == LinearInputs::Bf16) info.scratch = Expression(bf16ScratchBytes(c));
  addVariants(c, tier, info);
  return info;
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  LinearConfig config = readLinearConfig(kernel);
  switch (config.inputs) {
  case LinearInputs::Float:
    return emitFloatLinear(k, config, variant);
  case LinearInputs::Int8:
    return emitInt8Linear(k, config, variant);
  case LinearInputs::Bf16:
    return emitBf16Linear(k, config, variant);
  }
}

} // namespace

LinearConfig readLinearConfig(exec::KernelOp kernel) {
  llvm::StringRef activations = configString(kernel, "activations");
  LinearInputs inputs = activations == "int8"   ? LinearInputs::Int8
                        : activations == "bf16" ? LinearInputs::Bf16
                                                : LinearInputs::Float;
  return {inputs, configBool(kernel, "gated"), configInt(kernel, "rows"), configInt(kernel, "vectors"),
          configString(kernel, "element"), configScheme(kernel), &kernel.getEpilogue()};
}

LinearDispatch::LinearDispatch(KernelBuilder &k, const LinearConfig &config) {
  int next = 0;
  x = k.operand(next++);
  if (config.int8()) {
    corr = k.operand(next++);
    scale = k.operand(next++);
    scales = k.scalar(int(config.scalesIndex()));
  }
  weight = k.operand(next++);
  for (int64_t i = 0; i < config.rows; ++i) {
    rows.push_back(k.operand(next++));
    rowLds.push_back(k.scalar(int(config.ldIndex(i))));
  }
  for (int64_t i = 0; i < config.vectors; ++i) vectors.push_back(k.operand(next++));
  out = k.operand(next++);
  n = k.scalar(kRows);
  columns = k.scalar(kColumns);
  outputs = k.scalar(kOutputs);
  blocks = k.scalar(kBlocks);
  chunks = k.scalar(kChunks);
  ldX = k.scalar(kLdX);
  ldOut = k.scalar(kLdOut);
}

void finishLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, Value item, Value row,
                  ValueRange accumulators) {
  Value first = k.mul(item, kLanes);
  Value valid = k.sub(d.outputs, first);
  EpilogueInputs inputs;
  inputs.accumulators.assign(accumulators.begin(), accumulators.end());
  for (auto [pointer, ld] : llvm::zip(d.rows, d.rowLds)) {
    Value there = k.add(k.mul(row, ld), first);
    inputs.rows.push_back(k.loadColumns(k.at(pointer, k.mul(there, 4)), valid));
  }
  for (Value vector : d.vectors)
    for (int64_t i = 0; i < config.blocksPerItem(); ++i) {
      Value block = k.add(k.mul(item, config.blocksPerItem()), i);
      inputs.vectors.push_back(k.loadVec(k.at(vector, k.mul(block, 4 * kLanes))));
    }
  Value result = emitEpilogue(k, *config.epilogue, inputs);
  Value there = k.add(k.mul(row, d.ldOut), first);
  k.storeColumns(result, k.at(d.out, k.mul(there, 4)), valid);
}

const KindEmitter kLinear = {"linear", describe, emit};

} // namespace llmc::cpu
