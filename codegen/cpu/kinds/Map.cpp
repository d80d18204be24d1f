// map: an elementwise region over rows that no linear took into its epilogue.
#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

namespace {

enum Scalars { kRows, kColumns, kVectors, kLdOut, kFirstLd };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  int64_t rows = configInt(kernel, "rows"), vectors = configInt(kernel, "vectors");
  KernelInfo info;
  info.scalarCount = int(kFirstLd + rows);
  info.items = s(kRows);
  info.requireCeil(s(kColumns), s(kVectors), kLanes);
  for (int64_t i = 0; i < rows; ++i) info.readsRows(s(kRows), s(kColumns), s(int(kFirstLd + i)));
  for (int64_t i = 0; i < vectors; ++i) info.reads(Expression(4 * kLanes) * s(kVectors));
  info.writesRows(s(kRows), s(kColumns), s(kLdOut));
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  int64_t rowCount = configInt(kernel, "rows"), vectorCount = configInt(kernel, "vectors");
  Values rows, lds, vectors;
  for (int64_t i = 0; i < rowCount; ++i) {
    rows.push_back(k.operand(int(i)));
    lds.push_back(k.scalar(int(kFirstLd + i)));
  }
  for (int64_t i = 0; i < vectorCount; ++i) vectors.push_back(k.operand(int(rowCount + i)));
  Value out = k.operand(int(rowCount + vectorCount));
  Value columns = k.scalar(kColumns), count = k.scalar(kVectors), ldOut = k.scalar(kLdOut);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    k.loop(k.i64(0), count, 1, [&](Value i) {
      Value first = k.mul(i, kLanes), valid = k.sub(columns, first);
      EpilogueInputs inputs;
      for (auto [row, ld] : llvm::zip(rows, lds))
        inputs.rows.push_back(k.loadColumns(k.at(row, k.mul(k.add(k.mul(item, ld), first), 4)), valid));
      for (Value vector : vectors) inputs.vectors.push_back(k.loadVec(k.at(vector, k.mul(first, 4))));
      Value result = emitEpilogue(k, kernel.getEpilogue(), inputs);
      k.storeColumns(result, k.at(out, k.mul(k.add(k.mul(item, ldOut), first), 4)), valid);
    });
  });
}

} // namespace

const KindEmitter kMap = {"map", describe, emit};

} // namespace llmc::cpu
