// Where the parts of one row's attention leave what their segments came to, and where attention_combine finds it.
//
// A record is a segment of one row and 16 query heads: f32 [16][value_pad] of sums of p V, then [16] of the largest
// scores, then [16] of the sums of p. Those of a row's last segment lie in `last`, [split_rows][head blocks], those of
// the segments before in `segments`, [segment][split_rows][head blocks]: so `segments` never holds more than whole
// segments, and its bytes are a multiple of the page table's blocks.
#pragma once

#include "codegen/cpu/kinds/AttentionTile.h"

namespace llmc::cpu {

struct SegmentRecords {
  KernelBuilder &k;
  Value segments, last, headBlocks, valuePad;
  int64_t splitRows;

  static Expression segmentsBytes(int64_t splitRows, Expression blocks, Expression headBlocks, Expression valuePad) {
    Expression places = blocks * headBlocks; // a block is a sixteenth of a segment
    return Expression(4 * splitRows) * places * valuePad + Expression(8 * splitRows) * places;
  }
  static Expression lastBytes(int64_t splitRows, Expression headBlocks, Expression valuePad) {
    return Expression(4 * kLanes * splitRows) * headBlocks * valuePad + Expression(8 * kLanes * splitRows) * headBlocks;
  }

  Value record(Value segment, Value lastSegment, Value row, Value headBlock) {
    Value isLast = mlir::arith::CmpIOp::create(k.b, mlir::arith::CmpIPredicate::eq, segment, lastSegment);
    Value before = k.select(isLast, k.i64(0), k.mul(segment, splitRows));
    Value index = k.add(k.mul(k.add(before, row), headBlocks), headBlock);
    return k.at(k.select(isLast, last, segments), k.mul(index, k.mul(k.add(valuePad, 2), 4 * kLanes)));
  }
  // f32 [value_pad] of a head of the record.
  Value sums(Value record, Value lane) { return k.at(record, k.mul(k.mul(lane, valuePad), 4)); }
  // f32 [16] each.
  Value maxima(Value record) { return k.at(record, k.mul(valuePad, 4 * kLanes)); }
  Value pSums(Value record) { return k.at(maxima(record), 4 * kLanes); }
};

} // namespace llmc::cpu
