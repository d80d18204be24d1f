// attention_combine: the segments that the parts of attention left apart, first to last; one row and one query head a
// workgroup. What it computes is what attention computes where it is not split, bit for bit.
#include "codegen/gpu/kinds/AttentionRecords.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::Expression;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

enum Scalars { kRows, kHeads, kHeadBlocks, kValueDim, kValuePad, kLdOut, kBlocks };

constexpr int64_t kThreads = 64;

void describe(exec::KernelOp kernel, MatrixUnits, KernelInfo &info) {
  int64_t splitRows = cpu::configInt(kernel, "split_rows");
  info.items = s(kRows) * s(kHeads);
  info.grain = 1;
  info.require(Expression(kMaxValueDim) - s(kValuePad));
  // A step of more rows was not split.
  info.variants = {{0, splitRows, 1, info.items}, {splitRows + 1, INT64_MAX, 1, Expression()}};
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  if (variant.lastRows == INT64_MAX) return; // it has no items
  bool hasSinks = cpu::configBool(kernel, "sinks");
  const int positions = 0, sinks = 3, out = hasSinks ? 4 : 3;
  Value heads = k.scalar(kHeads), valueDim = k.scalar(kValueDim), valuePad = k.scalar(kValuePad);
  SegmentRecords records{k, 1, 2, k.scalar(kHeadBlocks), valuePad, cpu::configInt(kernel, "split_rows")};
  SegmentSums sums{k, SegmentSums::allocate(k), valuePad};
  k.forGroupItem([&](Value item) {
    Value row = k.div(item, heads), head = k.rem(item, heads);
    Value position = k.loadIndex(positions, row), last = k.div(position, kSegmentKeys);
    Value first = k.div(firstKey(k, cpu::configInt(kernel, "window"), position), kSegmentKeys);
    sums.ownColumns([&](Value column) { sums.setTotal(k.f32(0), column); });
    Values whole = k.loop(first, k.add(last, 1), 1, {k.f32(kNoScore), k.f32(0)}, [&](Value segment, ValueRange old) {
      SegmentRecords::Place place = records.place(segment, last, row, head);
      sums.ownColumns([&](Value column) { sums.setSegment(records.load(place, k.add(place.at, column)), column); });
      Softmax own{records.load(place, place.maximum), records.load(place, place.sum)};
      Softmax now = sums.combine(own, {old[0], old[1]});
      return Values{now.m, now.l};
    });
    Value to = k.add(k.mul(row, k.scalar(kLdOut)), k.mul(head, valueDim));
    sums.store(out, to, valueDim, {whole[0], whole[1]}, hasSinks ? k.loadF32(sinks, head) : Value());
  });
}

} // namespace

const KindEmitter kAttentionCombine = {"attention_combine", describe, kThreads, emit};

} // namespace llmc::gpu
