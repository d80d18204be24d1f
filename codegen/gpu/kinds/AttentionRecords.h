// Where the parts of one row's attention leave what their segments came to, and how segments become one result. The
// records are those of codegen/cpu/kinds/AttentionParts.h: scores are times log2 e, and the exponential is 2^x.
#pragma once

#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

inline constexpr int64_t kSegmentKeys = 256;
inline constexpr int64_t kMaxValueDim = 512; // value columns that shared memory has room for
inline constexpr double kNoScore = -1e30;    // below every score; finite, so that differences are numbers

// The first key that a row at `position` sees; `window` 0: all before it.
Value firstKey(GpuBuilder &k, int64_t window, Value position);

// Sums over the value's columns in shared memory, the largest score and the sum of p: of a segment or of several.
struct Softmax {
  Value m, l;
};

// The two of a workgroup: a segment's sums and the total's. A thread has every `threads`-th column of both.
struct SegmentSums {
  GpuBuilder &k;
  Value memory, valuePad; // memory: shared [2][kMaxValueDim]

  static Value allocate(GpuBuilder &k) { return k.shared(2 * kMaxValueDim); }
  void ownColumns(const GpuBuilder::Body &body) { k.loop(k.thread(), valuePad, k.threads(), body); }
  Value segment(Value column) { return k.loadShared(memory, column); }
  Value total(Value column) { return k.loadShared(memory, k.add(column, kMaxValueDim)); }
  void setSegment(Value sum, Value column) { k.storeShared(memory, sum, column); }
  void setTotal(Value sum, Value column) { k.storeShared(memory, sum, k.add(column, kMaxValueDim)); }

  // total = total 2^(M - M') + segment 2^(m - M'), M' the larger of both maxima.
  Softmax combine(Softmax segment, Softmax whole);
  // The total over its sum of p, into a row of the output that begins at `to`. `sink`: a score without a value; may be null.
  void store(int out, Value to, Value valueDim, Softmax whole, Value sink);
};

struct SegmentRecords {
  GpuBuilder &k;
  int segments, last; // operands
  Value headBlocks, valuePad;
  int64_t splitRows;

  // A row's segment, with the head's place in it: words of `last` or, of a segment before the last, of `segments`.
  struct Place {
    Value isLast;
    Value at, maximum, sum; // of the head's first column, of m, of l
  };
  Place place(Value segment, Value lastSegment, Value row, Value head);
  Value load(const Place &place, Value word);
  void store(const Place &place, Value value, Value word);
};

} // namespace llmc::gpu
