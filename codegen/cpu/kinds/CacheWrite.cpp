// cache_write: the step's keys and values into their pages, K transposed.
#include "codegen/cpu/kinds/Pages.h"

namespace llmc::cpu {

using namespace mlir;

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

using Place = std::function<Value(Value index)>;

struct CacheWrite {
  KernelBuilder &k;
  PagedCache &cache;

  // `together` of 16 neighbours lie side by side in the page.
  void plain(Value from, Value count, int64_t together, const Place &place) {
    llvm::StringRef element = cache.layout.element;
    Value whole = k.mul(k.div(count, kLanes), kLanes);
    k.loop(k.i64(0), whole, kLanes, [&](Value i) {
      Value rounded = k.roundElements(element, k.loadVec(k.at(from, k.mul(i, 4))));
      for (int64_t lane = 0; lane < kLanes; lane += together) {
        llvm::SmallVector<int64_t> mask;
        for (int64_t j = 0; j < together; ++j) mask.push_back(lane + j);
        Value piece = vector::ShuffleOp::create(k.b, rounded, rounded, mask);
        k.store(piece, place(k.add(i, lane)), unsigned(cache.layout.bytes));
      }
    });
    k.loop(whole, count, 1,
           [&](Value i) { k.storeElement(element, k.loadF32(k.at(from, k.mul(i, 4))), place(i)); });
  }

  // `count` f32 at `from`, each to its place; in int8 their scale, absmax / 127, to `scale`.
  void head(Value from, Value count, int64_t together, Value scale, const Place &place) {
    if (!cache.layout.hasScales()) return plain(from, count, together, place);
    Value size = largest(from, count);
    k.store(k.divf(size, k.f32(127)), scale);
    Value none = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OEQ, size, k.f32(0));
    Value inverse = k.select(none, k.f32(0), k.divf(k.f32(127), size));
    k.loop(k.i64(0), count, 1, [&](Value i) {
      Value scaled = math::RoundEvenOp::create(k.b, k.mulf(k.loadF32(k.at(from, k.mul(i, 4))), inverse));
      Value bounded = k.select(k.lessf(scaled, k.f32(-127)), k.f32(-127), scaled);
      bounded = k.select(k.lessf(k.f32(127), bounded), k.f32(127), bounded);
      k.store(arith::FPToSIOp::create(k.b, k.i8Type(), bounded), place(i), 1);
    });
  }

  Value largest(Value from, Value count) {
    return k.maximum(k.loop(k.i64(0), count, kLanes, {k.splat(0)}, [&](Value i, ValueRange carried) {
      Value values = k.loadColumns(k.at(from, k.mul(i, 4)), k.sub(count, i));
      return Values{k.maxf(math::AbsFOp::create(k.b, values), carried[0])};
    })[0]);
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  Value keys = k.operand(0), values = k.operand(1), positions = k.operand(2), sequences = k.operand(3);
  Value ldKey = k.scalar(kLdKey), ldValue = k.scalar(kLdValue), heads = k.scalar(kKvHeads);
  PagedCache cache(k, configString(kernel, "element"), k.operand(4), k.operand(5), k.scalar(kBlocks), heads,
                   k.scalar(kKeyDim), k.scalar(kValuePad));
  CacheWrite write{k, cache};
  Value keyDim = k.scalar(kKeyDim), valueDim = k.scalar(kValueDim);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value position = k.loadIndex(positions, item), slot = k.rem(position, kPageTokens);
    Value page = cache.page(k.loadIndex(sequences, item), k.div(position, kPageTokens));
    k.loop(k.i64(0), heads, 1, [&](Value head) {
      Value scale = k.mul(slot, 4);
      Value key = k.at(keys, k.mul(k.add(k.mul(item, ldKey), k.mul(head, keyDim)), 4));
      Value keyPage = cache.keys(page, head);
      write.head(key, keyDim, cache.layout.step, k.at(cache.keyScales(page, head), scale),
                 [&](Value i) { return cache.keyAt(keyPage, i, slot); });
      Value value = k.at(values, k.mul(k.add(k.mul(item, ldValue), k.mul(head, valueDim)), 4));
      Value valuePage = cache.values(page, head);
      write.head(value, valueDim, cache.layout.step == 1 ? kLanes : 1, k.at(cache.valueScales(page, head), scale),
                 [&](Value i) { return cache.valueAt(valuePage, slot, i); });
    });
  });
}

} // namespace

const KindEmitter kCacheWrite = {"cache_write", describe, emit};

} // namespace llmc::cpu
