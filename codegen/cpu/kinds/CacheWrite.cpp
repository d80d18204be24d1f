// cache_write: the step's keys and values into their pages, K transposed.
#include "codegen/cpu/kinds/CacheWrite.h"

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
  info.writes(poolBytes(configString(kernel, "element"), s(kPages), s(kKvHeads), s(kKeyDim), s(kValuePad)), 64);
  info.require(s(kValuePad) - s(kValueDim));
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  Value keys = k.operand(0), values = k.operand(1), positions = k.operand(2), sequences = k.operand(3);
  Value ldKey = k.scalar(kLdKey), ldValue = k.scalar(kLdValue), heads = k.scalar(kKvHeads);
  PagedCache cache(k, configString(kernel, "element"), k.operand(4), k.operand(5), k.scalar(kBlocks), heads,
                   k.scalar(kKeyDim), k.scalar(kValuePad));
  CacheWriter writer(k, cache, positions, sequences);
  Value keyDim = k.scalar(kKeyDim), valueDim = k.scalar(kValueDim);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    CacheWriter::Place place = writer.placeOf(item);
    k.loop(k.i64(0), heads, 1, [&](Value head) {
      writer.key(place, head, k.at(keys, k.mul(k.add(k.mul(item, ldKey), k.mul(head, keyDim)), 4)), keyDim);
      writer.value(place, head, k.at(values, k.mul(k.add(k.mul(item, ldValue), k.mul(head, valueDim)), 4)), valueDim);
    });
  });
}

} // namespace

CacheWriter::Place CacheWriter::placeOf(Value row) {
  Value position = k.loadIndex(positions, row);
  Value page = cache.page(k.loadIndex(sequences, row), k.div(position, kPageTokens));
  return {page, k.rem(position, kPageTokens)};
}

void CacheWriter::key(const Place &place, Value head, Value from, Value dim) {
  Value page = cache.keys(place.page, head);
  rounded(from, dim, cache.layout.step, k.at(cache.keyScales(place.page, head), k.mul(place.slot, 4)),
          [&](Value i) { return cache.keyAt(page, i, place.slot); });
}

void CacheWriter::value(const Place &place, Value head, Value from, Value dim) {
  Value page = cache.values(place.page, head);
  rounded(from, dim, cache.layout.step == 1 ? kLanes : 1,
          k.at(cache.valueScales(place.page, head), k.mul(place.slot, 4)),
          [&](Value i) { return cache.valueAt(page, place.slot, i); });
}

// `together` of 16 neighbours lie side by side in the page.
void CacheWriter::plain(Value from, Value count, int64_t together, const Address &address) {
  llvm::StringRef element = cache.layout.element;
  Value whole = k.mul(k.div(count, kLanes), kLanes);
  k.loop(k.i64(0), whole, kLanes, [&](Value i) {
    Value rounded = k.roundElements(element, k.loadVec(k.at(from, k.mul(i, 4))));
    for (int64_t lane = 0; lane < kLanes; lane += together) {
      llvm::SmallVector<int64_t> mask;
      for (int64_t j = 0; j < together; ++j) mask.push_back(lane + j);
      Value piece = vector::ShuffleOp::create(k.b, rounded, rounded, mask);
      k.store(piece, address(k.add(i, lane)), unsigned(cache.layout.bytes));
    }
  });
  k.loop(whole, count, 1,
         [&](Value i) { k.storeElement(element, k.loadF32(k.at(from, k.mul(i, 4))), address(i)); });
}

// `count` f32 at `from`, each to its address; in int8 their scale, absmax / 127, to `scale`.
void CacheWriter::rounded(Value from, Value count, int64_t together, Value scale, const Address &address) {
  if (!cache.layout.hasScales()) return plain(from, count, together, address);
  Value size = largest(from, count);
  k.store(k.divf(size, k.f32(127)), scale);
  Value none = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OEQ, size, k.f32(0));
  Value inverse = k.select(none, k.f32(0), k.divf(k.f32(127), size));
  k.loop(k.i64(0), count, 1, [&](Value i) {
    Value scaled = math::RoundEvenOp::create(k.b, k.mulf(k.loadF32(k.at(from, k.mul(i, 4))), inverse));
    Value bounded = k.select(k.lessf(scaled, k.f32(-127)), k.f32(-127), scaled);
    bounded = k.select(k.lessf(k.f32(127), bounded), k.f32(127), bounded);
    k.store(arith::FPToSIOp::create(k.b, k.i8Type(), bounded), address(i), 1);
  });
}

Value CacheWriter::largest(Value from, Value count) {
  return k.maximum(k.loop(k.i64(0), count, kLanes, {k.splat(0)}, [&](Value i, ValueRange carried) {
    Value values = k.loadColumns(k.at(from, k.mul(i, 4)), k.sub(count, i));
    return Values{k.maxf(math::AbsFOp::create(k.b, values), carried[0])};
  })[0]);
}

const KindEmitter kCacheWrite = {"cache_write", describe, emit};

} // namespace llmc::cpu
