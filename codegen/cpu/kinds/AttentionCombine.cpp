// attention_combine: the segments that the parts of attention left apart, first to last. An item is one row and 16 query
// heads. What it computes of each is what attention itself computes where it is not split, bit for bit.
#include "codegen/cpu/kinds/AttentionParts.h"
#include "codegen/cpu/kinds/AttentionSoftmax.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kHeads, kHeadBlocks, kValueDim, kValuePad, kLdOut, kBlocks };

constexpr int64_t kVectorBytes = 4 * kLanes;

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  int64_t splitRows = configInt(kernel, "split_rows");
  KernelInfo info;
  info.scalarCount = 7;
  info.indices(s(kRows), Expression(kPageTokens) * s(kBlocks));
  info.reads(SegmentRecords::segmentsBytes(splitRows, s(kBlocks), s(kHeadBlocks), s(kValuePad)));
  info.reads(SegmentRecords::lastBytes(splitRows, s(kHeadBlocks), s(kValuePad)));
  if (configBool(kernel, "sinks")) info.reads(Expression(4) * s(kHeads));
  info.writesRows(s(kRows), s(kHeads) * s(kValueDim), s(kLdOut));
  info.require(s(kValuePad) - s(kValueDim));
  info.requireCeil(s(kHeads), s(kHeadBlocks), kLanes);
  // The factors of a segment, then the sums of 16 heads.
  info.scratch = Expression(2 * kVectorBytes) + Expression(4 * kLanes) * s(kValuePad);
  // A step of more rows was not split.
  info.variants = {{0, splitRows, 1, s(kRows) * s(kHeadBlocks)}, {splitRows + 1, INT64_MAX, 1, Expression()}};
  return info;
}

struct Combine {
  KernelBuilder &k;
  SegmentRecords records;
  int64_t window;
  Value positions, sinks, out, heads, valueDim, columns, ldOut; // columns: whole vectors of value_pad

  Value total(Value lane) { return k.at(k.scratch(), k.add(k.mul(k.mul(lane, records.valuePad), 4), 2 * kVectorBytes)); }
  Value factor(int64_t which, Value lane) {
    return k.broadcast(k.loadF32(k.at(k.scratch(), k.add(k.mul(lane, 4), which * kVectorBytes))));
  }

  // One segment into the totals of `count` heads; (M, l) are carried.
  Values segment(Value record, Value count, ValueRange carried) {
    Combination now = combineSegment(k, carried[0], carried[1], k.loadVec(records.maxima(record)),
                                     k.loadVec(records.pSums(record)));
    k.store(now.ofTotal, k.scratch(), 64);
    k.store(now.ofSegment, k.at(k.scratch(), kVectorBytes), 64);
    k.loop(k.i64(0), count, 1, [&](Value lane) {
      Value ofTotal = factor(0, lane), ofSegment = factor(1, lane), to = total(lane), from = records.sums(record, lane);
      k.loop(k.i64(0), columns, kLanes, [&](Value i) {
        Value there = k.at(to, k.mul(i, 4));
        Value sum = k.loadVec(k.at(from, k.mul(i, 4)));
        k.store(k.fma(sum, ofSegment, k.mulf(k.loadVec(there), ofTotal)), there);
      });
    });
    return {now.maxima, now.sums};
  }

  void item(Value index) {
    Value row = k.div(index, records.headBlocks), headBlock = k.rem(index, records.headBlocks);
    Value firstHead = k.mul(headBlock, kLanes), count = k.min(k.sub(heads, firstHead), k.i64(kLanes));
    Value position = k.loadIndex(positions, row), last = k.div(position, kSegmentKeys);
    k.loop(k.i64(0), k.mul(count, columns), kLanes,
           [&](Value i) { k.store(k.splat(0), k.at(total(k.i64(0)), k.mul(i, 4))); });
    Values state = k.loop(k.div(firstKey(k, window, position), kSegmentKeys), k.add(last, 1), 1,
                          {k.splat(kNoScore), k.splat(0)}, [&](Value at, ValueRange carried) {
                            return segment(records.record(at, last, row, headBlock), count, carried);
                          });
    k.store(state[0], k.scratch(), 64);
    k.store(state[1], k.at(k.scratch(), kVectorBytes), 64);
    k.loop(k.i64(0), count, 1, [&](Value lane) {
      Value head = k.add(firstHead, lane), place = k.mul(lane, 4);
      Value sum = k.loadF32(k.at(k.scratch(), k.add(place, kVectorBytes)));
      if (sinks) sum = addSink(k, k.loadF32(k.at(sinks, k.mul(head, 4))), k.loadF32(k.at(k.scratch(), place)), sum);
      Value to = k.at(out, k.mul(k.add(k.mul(row, ldOut), k.mul(head, valueDim)), 4));
      storeHead(k, total(lane), sum, columns, valueDim, to);
    });
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  if (variant.lastRows == INT64_MAX) return; // it has no items
  int next = 0;
  Value positions = k.operand(next++), segments = k.operand(next++), last = k.operand(next++);
  Value sinks = configBool(kernel, "sinks") ? k.operand(next++) : Value();
  Value out = k.operand(next++), valuePad = k.scalar(kValuePad);
  SegmentRecords records{k, segments, last, k.scalar(kHeadBlocks), valuePad, configInt(kernel, "split_rows")};
  Combine combine{k, records, configInt(kernel, "window"), positions, sinks, out, k.scalar(kHeads), k.scalar(kValueDim),
                  wholeVectors(k, valuePad), k.scalar(kLdOut)};
  k.loop(k.begin(), k.end(), 1, [&](Value item) { combine.item(item); });
}

} // namespace

const KindEmitter kAttentionCombine = {"attention_combine", describe, emit};

} // namespace llmc::cpu
