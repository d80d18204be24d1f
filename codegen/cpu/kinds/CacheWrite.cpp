// cache_write: the step's keys and values into their pages, K transposed.
#include "codegen/cpu/kinds/Pages.h"

namespace llmc::cpu {

namespace {

enum Scalars { kRows, kLdKey, kLdValue, kKvHeads, kKeyDim, kValueDim, kValuePad, kSequences, kBlocks, kPages };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  info.scalarCount = 10;
  info.items = s(kRows);
  info.readsRows(s(kRows), s(kKvHeads) * s(kKeyDim), s(kLdKey));
  info.readsRows(s(kRows), s(kKvHeads) * s(kValueDim), s(kLdValue));
  info.indices(s(kRows), Expression(kPageTokens) * s(kBlocks));
  info.indices(s(kRows), s(kSequences));
  info.indices(s(kSequences) * s(kBlocks), s(kPages));
  info.writes(poolBytes(kernel, s(kPages), s(kKvHeads), s(kKeyDim), s(kValuePad)), 64);
  info.require(s(kValuePad) - s(kValueDim));
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef element = configString(kernel, "element");
  Value keys = k.operand(0), values = k.operand(1), positions = k.operand(2), sequences = k.operand(3);
  Value ldKey = k.scalar(kLdKey), ldValue = k.scalar(kLdValue), heads = k.scalar(kKvHeads);
  PagedCache cache(k, element, k.operand(4), k.operand(5), k.scalar(kBlocks), heads, k.scalar(kKeyDim),
                   k.scalar(kValuePad));
  Value keyDim = k.scalar(kKeyDim), valueDim = k.scalar(kValueDim);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value position = k.loadIndex(positions, item), slot = k.rem(position, kPageTokens);
    Value page = cache.page(k.loadIndex(sequences, item), k.div(position, kPageTokens));
    k.loop(k.i64(0), heads, 1, [&](Value head) {
      Value key = k.at(keys, k.mul(k.add(k.mul(item, ldKey), k.mul(head, keyDim)), 4));
      Value keyPage = cache.keys(page, head);
      k.loop(k.i64(0), keyDim, 1, [&](Value i) {
        k.storeElement(element, k.loadF32(k.at(key, k.mul(i, 4))), cache.keyAt(keyPage, i, slot));
      });
      Value value = k.at(values, k.mul(k.add(k.mul(item, ldValue), k.mul(head, valueDim)), 4));
      Value valuePage = cache.values(page, head);
      k.loop(k.i64(0), valueDim, 1, [&](Value i) {
        k.storeElement(element, k.loadF32(k.at(value, k.mul(i, 4))), cache.valueAt(valuePage, slot, i));
      });
    });
  });
}

} // namespace

const KindEmitter kCacheWrite = {"cache_write", describe, emit};

} // namespace llmc::cpu
