// linear: y = x W^T with an epilogue. Each lane of a vector is an output; the order of additions is llm.linear's.
#include "codegen/cpu/kinds/Linear.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kColumns, kOutputs, kBlocks, kChunks, kLdX, kLdOut };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  LinearConfig c = readLinearConfig(kernel);
  KernelInfo info;
  info.scalarCount = int(c.scalesIndex()) + (c.int8 ? 1 : 0);
  info.items = s(kBlocks);
  info.grain = 4;
  info.requireCeil(s(kOutputs), s(kBlocks), kLanes);
  if (c.int8) {
    int64_t perChunk = c.scheme->columnsPerChunk();
    info.require(Expression(perChunk) * s(kChunks) - s(kColumns));
    info.requireCeil(Expression(perChunk) * s(kChunks), s(int(c.scalesIndex())), 128);
    info.reads(Expression(perChunk) * s(kRows) * s(kChunks));
    info.reads(Expression(4 * 2) * s(kRows) * s(kChunks));
    info.reads(Expression(4) * s(kRows) * s(int(c.scalesIndex())));
  } else {
    if (c.scheme) {
      info.require(Expression(c.scheme->columnsPerChunk()) * s(kChunks) - s(kColumns));
      info.require(s(kColumns) - Expression(c.scheme->columnsPerChunk()) * (s(kChunks) - Expression(1)) - Expression(1));
    } else {
      info.require(s(kChunks) - s(kColumns));
      info.require(s(kColumns) - s(kChunks));
    }
    info.readsRows(s(kRows), s(kColumns), s(kLdX));
  }
  info.reads(Expression(c.blocksPerItem()) * matrixBytes(kernel, s(kBlocks), s(kChunks)), 64);
  for (int64_t i = 0; i < c.rows; ++i) info.readsRows(s(kRows), s(kOutputs), s(int(c.ldIndex(i))));
  for (int64_t i = 0; i < c.vectors; ++i) info.reads(Expression(4 * kLanes * c.blocksPerItem()) * s(kBlocks));
  info.writesRows(s(kRows), s(kOutputs), s(kLdOut));
  if (c.int8) info.scratch = Expression(2 * 16 * 4 * kLanes); // accumulators of a tile on their way to the epilogue
  // Rows computed together: what the tier's registers hold.
  int width = tier.vectorBits < 512 ? 4 : 8;
  if (!c.int8) {
    info.variants = {{0, 1, 1}, {2, INT64_MAX, width}};
    return info;
  }
  // With a known row count every address within a tile is a constant: what small batches decode with.
  info.variants = {{0, 1, 1}};
  for (int rows = 2; rows <= 8; ++rows) info.variants.push_back({rows, rows, std::min(rows, width)});
  info.variants.push_back({9, 15, width});
  info.variants.push_back({16, INT64_MAX, width});
  return info;
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  LinearConfig config = readLinearConfig(kernel);
  config.int8 ? emitInt8Linear(k, config, variant) : emitFloatLinear(k, config, variant);
}

} // namespace

LinearConfig readLinearConfig(exec::KernelOp kernel) {
  return {configString(kernel, "activations") == "int8", configBool(kernel, "gated"), configInt(kernel, "rows"),
          configInt(kernel, "vectors"), configString(kernel, "element"), configScheme(kernel), &kernel.getEpilogue()};
}

LinearDispatch::LinearDispatch(KernelBuilder &k, const LinearConfig &config) {
  int next = 0;
  x = k.operand(next++);
  if (config.int8) {
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
