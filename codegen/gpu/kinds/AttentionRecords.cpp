#include "codegen/gpu/kinds/AttentionRecords.h"

namespace llmc::gpu {

using namespace mlir;

Value firstKey(GpuBuilder &k, int64_t window, Value position) {
  return window ? k.sub(k.max(k.add(position, 1), k.index(window)), k.index(window)) : k.index(0);
}

Softmax SegmentSums::combine(Softmax own, Softmax whole) {
  Value now = k.maxf(own.m, whole.m);
  Value ofTotal = codegen::emitExp2(k, k.subf(whole.m, now));
  Value ofSegment = codegen::emitExp2(k, k.subf(own.m, now));
  ownColumns([&](Value column) {
    setTotal(k.fma(segment(column), ofSegment, k.mulf(total(column), ofTotal)), column);
  });
  return {now, k.fma(own.l, ofSegment, k.mulf(whole.l, ofTotal))};
}

void SegmentSums::store(int out, Value to, Value valueDim, Softmax whole, Value sink) {
  Value sum = whole.l;
  if (sink) { // which may be above the largest score, where emitExp2 does not go
    Value over = k.subf(k.mulf(sink, k.f32(codegen::kLog2E)), whole.m);
    sum = k.addf(sum, codegen::emitExp(k, k.mulf(over, k.f32(1 / codegen::kLog2E))));
  }
  k.loop(k.thread(), valueDim, k.threads(),
         [&](Value column) { k.storeF32(out, k.divf(total(column), sum), k.add(to, column)); });
}

SegmentRecords::Place SegmentRecords::place(Value segment, Value lastSegment, Value row, Value head) {
  Value isLast = k.equal(segment, lastSegment);
  Value before = k.select(isLast, k.index(0), k.mul(segment, splitRows));
  Value index = k.add(k.mul(k.add(before, row), headBlocks), k.div(head, kLanes)), lane = k.rem(head, kLanes);
  Value record = k.mul(index, k.mul(k.add(valuePad, 2), kLanes));
  Value maxima = k.add(record, k.mul(valuePad, kLanes));
  return {isLast, k.add(record, k.mul(lane, valuePad)), k.add(maxima, lane), k.add(k.add(maxima, kLanes), lane)};
}

Value SegmentRecords::load(const Place &place, Value word) {
  return k.ifElse(place.isLast, [&] { return k.loadF32(last, word); }, [&] { return k.loadF32(segments, word); });
}

void SegmentRecords::store(const Place &place, Value value, Value word) {
  auto to = [&](int operand) {
    return [=, this] {
      k.storeF32(operand, value, word);
      return Values();
    };
  };
  k.ifElse(place.isLast, TypeRange(), to(last), to(segments));
}

} // namespace llmc::gpu
