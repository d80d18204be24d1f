// attention: one row and one query head a workgroup. The order of additions is fixed: blocks of 16 keys with an online
// softmax, segments of 256 keys at absolute positions, combined first to last. Four blocks are worked on at a time: a thread
// has a key for the scores, and every 64th value column for the sums.
#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::Expression;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

enum Scalars {
  kRows, kHeads, kKvHeads, kGroup, kKeyDim, kValueDim, kValuePad, kLdQuery, kLdOut, kSequences, kBlocks, kPages
};

constexpr int64_t kThreads = 64;
constexpr int64_t kRoundBlocks = kThreads / kPageTokens;
constexpr int64_t kSegmentRounds = 4;   // of 64 keys: 256 keys
constexpr int64_t kMaxValueDim = 512;   // value columns that shared memory has room for
constexpr double kNoScore = -1e30;      // below every score; finite, so that differences are numbers

void describe(exec::KernelOp, KernelInfo &info) {
  info.items = s(kRows) * s(kHeads);
  info.grain = 1;
  info.require(Expression(kMaxValueDim) - s(kValuePad));
}

struct Attention {
  GpuBuilder &k;
  exec::KernelOp kernel;
  PagedCache cache;
  llvm::StringRef element;
  int sinks, alibi, out; // operands; -1: none
  Value scores, weights, sums; // shared: [64], [64], [2][kMaxValueDim]: the segment's, the total

  // The item at hand
  Value row = {}, head = {}, kvHead = {}, position = {}, firstKey = {}, sequence = {}, firstBlock = {}, endBlock = {};

  // Columns of the value that are this thread's.
  void ownColumns(const GpuBuilder::Body &body) { k.loop(k.thread(), cache.valuePad, kThreads, body); }
  Value total(Value column) { return k.add(column, kMaxValueDim); }

  // One score: an fma chain over key_dim.
  Value score(Value key) {
    Value keyDim = cache.keyDim, page = cache.page(sequence, k.div(key, kPageTokens));
    Value slot = k.rem(key, kPageTokens);
    Value query = k.add(k.mul(row, k.scalar(kLdQuery)), k.mul(head, keyDim));
    Values sum = k.loop(k.index(0), keyDim, 1, k.zeros(1), [&](Value i, ValueRange carried) {
      Value x = k.loadElement(4, element, cache.key(page, kvHead, slot, i));
      return Values{k.fma(k.loadF32(0, k.add(query, i)), x, carried[0])};
    });
    Value scaled = k.mulf(sum[0], k.f32(cpu::configFloat(kernel, "scale")));
    if (double cap = cpu::configFloat(kernel, "soft_cap"); cap != 0)
      scaled = k.mulf(codegen::emitTanh(k, k.divf(scaled, k.f32(cap))), k.f32(cap));
    if (alibi >= 0) {
      Value distance = arith::SubIOp::create(k.b, k.toI32(key), k.toI32(position));
      Value wide = arith::SIToFPOp::create(k.b, k.f32Type(), distance);
      scaled = k.addf(scaled, k.mulf(k.loadF32(alibi, head), wide));
    }
    return scaled;
  }

  Value largestOf(Value block, Value old) {
    Value first = k.mul(block, kPageTokens), largest = old;
    for (int64_t i = 0; i < kPageTokens; ++i) largest = k.maxf(k.loadShared(scores, k.add(first, i)), largest);
    return largest;
  }

  // Scores of 64 keys from `firstOfRound` on, then their weights e^(score - m), m the largest score up to their block.
  void weigh(Value firstOfRound, Value m) {
    Value key = k.add(firstOfRound, k.thread());
    Value tooEarly = k.less(key, firstKey), tooLate = k.less(position, key);
    Value hidden = arith::OrIOp::create(k.b, tooEarly, tooLate);
    Value own = k.ifElse(hidden, [&] { return k.f32(kNoScore); }, [&] { return score(key); });
    k.barrier(); // the round before may still be read
    k.storeShared(scores, own, k.thread());
    k.barrier();
    Value ownBlock = k.div(k.thread(), kPageTokens);
    Values largest = k.loop(k.index(0), k.add(ownBlock, 1), 1, {m}, [&](Value block, ValueRange carried) {
      return Values{largestOf(block, carried[0])};
    });
    Value p = k.select(hidden, k.f32(0), codegen::emitExp(k, k.subf(own, largest[0])));
    k.storeShared(weights, p, k.thread());
    k.barrier();
  }

  // sums = sums shrink, then one fma chain over the block's keys. A block outside of what is seen changes nothing,
  // and its page table entry is not looked at.
  void addValues(Value block, Value firstWeight, Value shrink) {
    Value seen = k.logicalAnd(k.less(block, endBlock), k.less(firstBlock, k.add(block, 1)));
    k.ifThen(seen, [&] {
      Value page = cache.page(sequence, block);
      ownColumns([&](Value column) {
        Value sum = k.mulf(k.loadShared(sums, column), shrink);
        for (int64_t i = 0; i < kPageTokens; ++i) {
          Value x = k.loadElement(4, element, cache.value(page, kvHead, k.index(i), column));
          sum = k.fma(k.loadShared(weights, k.add(firstWeight, i)), x, sum);
        }
        k.storeShared(sums, sum, column);
      });
    });
  }

  // One round of 64 keys into the segment's m and l.
  Values round(Value index, Value m, Value l) {
    weigh(k.mul(index, kThreads), m);
    return k.loop(k.index(0), k.index(kRoundBlocks), 1, {m, l}, [&](Value block, ValueRange carried) {
      Value now = largestOf(block, carried[0]), first = k.mul(block, kPageTokens);
      Value shrink = codegen::emitExp(k, k.subf(carried[0], now));
      addValues(k.add(k.mul(index, kRoundBlocks), block), first, shrink);
      return Values{now, k.addf(k.mulf(carried[1], shrink), k.sumOfLanes(weights, first))};
    });
  }

  // total = total e^(M - M') + segment e^(m - M'), M' the larger of both maxima.
  Values combine(ValueRange segment, ValueRange whole) {
    Value now = k.maxf(segment[0], whole[0]);
    Value ofTotal = codegen::emitExp(k, k.subf(whole[0], now));
    Value ofSegment = codegen::emitExp(k, k.subf(segment[0], now));
    ownColumns([&](Value column) {
      Value old = k.mulf(k.loadShared(sums, total(column)), ofTotal);
      k.storeShared(sums, k.fma(k.loadShared(sums, column), ofSegment, old), total(column));
    });
    return {now, k.fma(segment[1], ofSegment, k.mulf(whole[1], ofTotal))};
  }

  void finish(Value m, Value l) {
    Value sum = l;
    if (sinks >= 0) sum = k.addf(sum, codegen::emitExp(k, k.subf(k.loadF32(sinks, head), m)));
    Value valueDim = k.scalar(kValueDim);
    Value to = k.add(k.mul(row, k.scalar(kLdOut)), k.mul(head, valueDim));
    k.loop(k.thread(), valueDim, kThreads, [&](Value column) {
      k.storeF32(out, k.divf(k.loadShared(sums, total(column)), sum), k.add(to, column));
    });
  }

  void item(Value index) {
    row = k.div(index, k.scalar(kHeads));
    head = k.rem(index, k.scalar(kHeads));
    kvHead = k.div(head, k.scalar(kGroup));
    position = k.loadIndex(1, row);
    sequence = k.loadIndex(2, row);
    int64_t window = cpu::configInt(kernel, "window");
    firstKey = window ? k.sub(k.max(k.add(position, 1), k.index(window)), k.index(window)) : k.index(0);
    firstBlock = k.div(firstKey, kPageTokens);
    endBlock = k.add(k.div(position, kPageTokens), 1);
    Value firstRound = k.div(firstKey, kThreads), endRound = k.add(k.div(position, kThreads), 1);
    Value endSegment = k.div(k.add(endRound, kSegmentRounds - 1), kSegmentRounds);
    ownColumns([&](Value column) { k.storeShared(sums, k.f32(0), total(column)); });
    Values nothing{k.f32(kNoScore), k.f32(0)};
    Value firstSegment = k.div(firstRound, kSegmentRounds);
    Values whole = k.loop(firstSegment, endSegment, 1, nothing, [&](Value segment, ValueRange old) {
      ownColumns([&](Value column) { k.storeShared(sums, k.f32(0), column); });
      Value start = k.mul(segment, kSegmentRounds), end = k.min(k.add(start, kSegmentRounds), endRound);
      Values own = k.loop(k.max(start, firstRound), end, 1, nothing, [&](Value index, ValueRange carried) {
        return round(index, carried[0], carried[1]);
      });
      return combine(own, old);
    });
    finish(whole[0], whole[1]);
  }
};

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef element = cpu::configString(kernel, "element");
  int next = 5;
  int sinks = cpu::configBool(kernel, "sinks") ? next++ : -1, alibi = cpu::configBool(kernel, "alibi") ? next++ : -1;
  Attention attention{k,
                      kernel,
                      PagedCache(k, element, 3, k.scalar(kBlocks), k.scalar(kKvHeads), k.scalar(kKeyDim),
                                 k.scalar(kValuePad)),
                      element,
                      sinks,
                      alibi,
                      next,
                      k.shared(kThreads),
                      k.shared(kThreads),
                      k.shared(2 * kMaxValueDim)};
  k.forGroupItem([&](Value index) { attention.item(index); });
}

} // namespace

const KindEmitter kAttention = {"attention", describe, kThreads, emit};

} // namespace llmc::gpu
