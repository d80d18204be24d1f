// attention: one row and one key-value head an item, all query heads of the group together. The order of additions is
// llm.paged_attention's: blocks of 16 keys, segments of 256 at absolute positions, combined first to last.
#include "codegen/cpu/Math.h"
#include "codegen/cpu/kinds/Pages.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars {
  kRows, kHeads, kKvHeads, kGroup, kKeyDim, kValueDim, kValuePad, kLdQuery, kLdOut, kSequences, kBlocks, kPages
};

constexpr int64_t kSegmentBlocks = 16;  // 256 keys
constexpr double kNoScore = -1e30;      // below every score; finite, so that differences are numbers

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  info.scalarCount = 12;
  info.items = s(kRows) * s(kKvHeads);
  info.readsRows(s(kRows), s(kHeads) * s(kKeyDim), s(kLdQuery));
  info.indices(s(kRows), Expression(kPageTokens) * s(kBlocks));
  info.indices(s(kRows), s(kSequences));
  info.indices(s(kSequences) * s(kBlocks), s(kPages));
  info.reads(poolBytes(kernel, s(kPages), s(kKvHeads), s(kKeyDim), s(kValuePad)), 64);
  if (configBool(kernel, "sinks")) info.reads(Expression(4) * s(kHeads));
  if (configBool(kernel, "alibi")) info.reads(Expression(4) * s(kHeads));
  info.writesRows(s(kRows), s(kHeads) * s(kValueDim), s(kLdOut));
  info.require(s(kValuePad) - s(kValueDim));
  info.require(s(kHeads) - s(kGroup) * s(kKvHeads));
  info.require(s(kGroup) * s(kKvHeads) - s(kHeads));
  info.require(s(kValuePad) - Expression(kLanes));
  info.require(s(kGroup) - Expression(1));
  // Twice (segment, total) m, l and o of each head of the group.
  info.scratch = Expression(2 * 2 * 4 * kLanes) * s(kGroup) + Expression(2 * 4) * s(kGroup) * s(kValuePad);
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

struct Attention {
  KernelBuilder &k;
  exec::KernelOp kernel;
  PagedCache cache;
  llvm::StringRef element;
  Value query, positions, sequences, sinks, alibi, out;
  Value kvHeads, group, keyDim, valueDim, valuePad, ldQuery, ldOut;
  Value probabilities; // 16 x f32 on the stack, to be read one by one

  // The item at hand
  Value row, kvHead, position, firstKey;

  // Scratch of head g: `which` 0 is the segment's, 1 the total.
  Value state(int64_t which, int64_t field, Value g) {
    return k.at(k.scratch(), k.mul(k.add(k.mul(g, 4), which * 2 + field), 4 * kLanes));
  }
  Value m(int64_t which, Value g) { return state(which, 0, g); }
  Value l(int64_t which, Value g) { return state(which, 1, g); }
  Value o(int64_t which, Value g) {
    Value base = k.at(k.scratch(), k.mul(group, 4 * 4 * kLanes));
    return k.at(base, k.mul(k.mul(k.add(k.mul(g, 2), which), valuePad), 4));
  }

  Value head(Value g) { return k.add(k.mul(kvHead, group), g); }
  Value expScalar(Value x) { // of one f32
    return vector::ExtractOp::create(k.b, emitExp(k, k.broadcast(x)), llvm::ArrayRef<int64_t>{0});
  }

  void clear(int64_t which, Value g) {
    k.store(k.f32(kNoScore), m(which, g));
    k.store(k.f32(0), l(which, g));
    Value base = o(which, g);
    k.loop(k.i64(0), valuePad, kLanes, [&](Value i) { k.store(k.splat(0), k.at(base, k.mul(i, 4))); });
  }

  // 16 scores: one fma chain over key_dim.
  Value scores(Value keys, Value g, Value keyIndex) {
    Value q = k.at(query, k.mul(k.add(k.mul(row, ldQuery), k.mul(head(g), keyDim)), 4));
    auto step = [&](Value i, Value sum) {
      Value key = k.loadElements(element, k.at(keys, k.mul(i, kPageTokens * cache.bytes)));
      return k.fma(k.broadcast(k.loadF32(k.at(q, k.mul(i, 4)))), key, sum);
    };
    Value whole = k.mul(k.div(keyDim, 8), 8);
    Values sum = k.loop(k.i64(0), whole, 8, {k.splat(0)}, [&](Value i, ValueRange carried) {
      Value total = carried[0];
      for (int64_t j = 0; j < 8; ++j) total = step(k.add(i, j), total);
      return Values{total};
    });
    sum = k.loop(whole, keyDim, 1, sum, [&](Value i, ValueRange carried) { return Values{step(i, carried[0])}; });
    Value scaled = k.mulf(sum[0], k.splat(configFloat(kernel, "scale")));
    if (double cap = configFloat(kernel, "soft_cap"); cap != 0)
      scaled = k.mulf(emitTanh(k, k.divf(scaled, k.splat(cap))), k.splat(cap));
    if (alibi) {
      Value slope = k.broadcast(k.loadF32(k.at(alibi, k.mul(head(g), 4))));
      Value own = k.broadcast(arith::TruncIOp::create(k.b, k.i32Type(), position));
      Value distance = arith::SIToFPOp::create(k.b, k.f32Vec(), arith::SubIOp::create(k.b, keyIndex, own));
      scaled = k.addf(scaled, k.mulf(slope, distance));
    }
    return scaled;
  }

  Value visible(Value keyIndex) {
    auto wide = [&](Value x) { return k.broadcast(arith::TruncIOp::create(k.b, k.i32Type(), x)); };
    Value notAfter = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sle, keyIndex, wide(position));
    Value notBefore = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sge, keyIndex, wide(firstKey));
    return arith::AndIOp::create(k.b, notAfter, notBefore);
  }

  void block(Value sequence, Value index) {
    Value page = cache.page(sequence, index);
    Value keys = cache.keys(page, kvHead), values = cache.values(page, kvHead);
    Value firstOfBlock = arith::TruncIOp::create(k.b, k.i32Type(), k.mul(index, kPageTokens));
    Value keyIndex = arith::AddIOp::create(k.b, k.iota(), k.broadcast(firstOfBlock));
    Value seen = visible(keyIndex);
    k.loop(k.i64(0), group, 1, [&](Value g) {
      Value score = k.select(seen, scores(keys, g, keyIndex), k.splat(kNoScore));
      Value old = k.loadF32(m(0, g));
      Value now = k.maxf(k.maximum(score), old);
      Value p = k.select(seen, emitExp(k, k.subf(score, k.broadcast(now))), k.splat(0));
      Value shrink = expScalar(k.subf(old, now));
      k.store(now, m(0, g));
      k.store(k.addf(k.mulf(k.loadF32(l(0, g)), shrink), k.sum(p)), l(0, g));
      k.store(p, probabilities, 64);
      addValues(values, o(0, g), k.broadcast(shrink));
    });
  }

  // o = o shrink, then one fma chain over the block's keys.
  void addValues(Value values, Value target, Value shrink) {
    Values weights;
    for (int64_t key = 0; key < kPageTokens; ++key)
      weights.push_back(k.broadcast(k.loadF32(k.at(probabilities, 4 * key))));
    k.loop(k.i64(0), valuePad, kLanes, [&](Value i) {
      Value there = k.at(target, k.mul(i, 4));
      Value sum = k.mulf(k.loadVec(there), shrink);
      for (int64_t key = 0; key < kPageTokens; ++key) {
        Value place = k.add(k.mul(valuePad, key), i);
        sum = k.fma(weights[key], k.loadElements(element, k.at(values, k.mul(place, cache.bytes))), sum);
      }
      k.store(sum, there);
    });
  }

  // total = total e^(M - M') + segment e^(m - M'), M' the larger of both maxima.
  void combine(Value g) {
    Value total = k.loadF32(m(1, g)), segment = k.loadF32(m(0, g));
    Value now = k.maxf(segment, total);
    Value ofTotal = expScalar(k.subf(total, now)), ofSegment = expScalar(k.subf(segment, now));
    k.store(now, m(1, g));
    Value sum = k.fma(k.loadF32(l(0, g)), ofSegment, k.mulf(k.loadF32(l(1, g)), ofTotal));
    k.store(sum, l(1, g));
    Value from = o(0, g), to = o(1, g), wideTotal = k.broadcast(ofTotal), wideSegment = k.broadcast(ofSegment);
    k.loop(k.i64(0), valuePad, kLanes, [&](Value i) {
      Value there = k.at(to, k.mul(i, 4));
      Value old = k.mulf(k.loadVec(there), wideTotal);
      k.store(k.fma(k.loadVec(k.at(from, k.mul(i, 4))), wideSegment, old), there);
    });
  }

  void finish(Value g) {
    Value sum = k.loadF32(l(1, g));
    if (sinks) {
      Value sink = k.loadF32(k.at(sinks, k.mul(head(g), 4)));
      sum = k.addf(sum, expScalar(k.subf(sink, k.loadF32(m(1, g)))));
    }
    Value divisor = k.broadcast(sum), from = o(1, g);
    Value to = k.at(out, k.mul(k.add(k.mul(row, ldOut), k.mul(head(g), valueDim)), 4));
    k.loop(k.i64(0), valuePad, kLanes, [&](Value i) {
      Value result = k.divf(k.loadVec(k.at(from, k.mul(i, 4))), divisor);
      k.storeColumns(result, k.at(to, k.mul(i, 4)), k.sub(valueDim, i));
    });
  }

  void item(Value index) {
    row = k.div(index, kvHeads);
    kvHead = k.rem(index, kvHeads);
    position = k.loadIndex(positions, row);
    int64_t window = configInt(kernel, "window");
    firstKey = window ? k.max(k.add(position, 1 - window), k.i64(0)) : k.i64(0);
    Value sequence = k.loadIndex(sequences, row);
    Value firstBlock = k.div(firstKey, kPageTokens), endBlock = k.add(k.div(position, kPageTokens), 1);
    Value endSegment = k.div(k.add(endBlock, kSegmentBlocks - 1), kSegmentBlocks);
    k.loop(k.i64(0), group, 1, [&](Value g) { clear(1, g); });
    k.loop(k.div(firstBlock, kSegmentBlocks), endSegment, 1, [&](Value segment) {
      k.loop(k.i64(0), group, 1, [&](Value g) { clear(0, g); });
      Value start = k.mul(segment, kSegmentBlocks);
      k.loop(k.max(start, firstBlock), k.min(k.add(start, kSegmentBlocks), endBlock), 1,
             [&](Value b) { block(sequence, b); });
      k.loop(k.i64(0), group, 1, [&](Value g) { combine(g); });
    });
    k.loop(k.i64(0), group, 1, [&](Value g) { finish(g); });
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef element = configString(kernel, "element");
  int next = 5;
  Value query = k.operand(0), positions = k.operand(1), sequences = k.operand(2);
  Value table = k.operand(3), pool = k.operand(4);
  Value sinks = configBool(kernel, "sinks") ? k.operand(next++) : Value();
  Value alibi = configBool(kernel, "alibi") ? k.operand(next++) : Value();
  Value out = k.operand(next);
  Attention attention{k,
                      kernel,
                      PagedCache(k, element, table, pool, k.scalar(kBlocks), k.scalar(kKvHeads), k.scalar(kKeyDim),
                                 k.scalar(kValuePad)),
                      element, query, positions, sequences, sinks, alibi, out,
                      k.scalar(kKvHeads), k.scalar(kGroup), k.scalar(kKeyDim), k.scalar(kValueDim),
                      wholeVectors(k, k.scalar(kValuePad)), k.scalar(kLdQuery), k.scalar(kLdOut), k.stack(4 * kLanes),
                      {}, {}, {}, {}};
  k.loop(k.begin(), k.end(), 1, [&](Value index) { attention.item(index); });
}

} // namespace

const KindEmitter kAttention = {"attention", describe, emit};

} // namespace llmc::cpu
