// From scores to p and what a segment counts for in the total; docs/kernels.md has the order.
#pragma once

#include "codegen/common/Math.h"
#include "codegen/cpu/kinds/AttentionTile.h"

namespace llmc::cpu {

inline constexpr double kNoScore = -1e30; // below every score; finite, so that differences are numbers
using codegen::kLog2E;

// What attention does to a score, with e^x taken as 2^(x log2 e).
struct ScoreConfig {
  double scale, softCap;
  int64_t window;
  bool sinks, alibi;
  // Queries are stored times this. The last factor is left to the end where something comes between.
  double queryFactor() const { return adjusts() ? scale : scale * kLog2E; }
  bool adjusts() const { return softCap != 0 || alibi; }
};

// The first key that a row at `position` looks at.
Value firstKey(KernelBuilder &k, int64_t window, Value position);

struct TileSoftmax {
  KernelBuilder &k;
  const ScoreConfig &config;
  AttentionTile &tile;
  Value slopes;                    // ALiBi, f32 of the tile's slots; null without
  Value maxima, sums;              // f32 [16]: of all segments so far, kept
  Value segmentMaxima, segmentSums; // f32 [16]: of this segment
  Value positions;                 // i32 [16]: of the slots
  Value least, greatest;           // i64: of the positions

  // The first key that a row at `position` looks at.
  Value firstKey(Value position) { return cpu::firstKey(k, config.window, position); }
  // scores -> p for the first `count` slots; maxima, sums, ofTotal and ofSegment, or with tile.apart the segment's
  // maxima and sums alone.
  void emit(Value count);

private:
  Value slotScores(Value slot) { return k.at(tile.scores, k.mul(slot, kScoreRowBytes)); }
  Value inRow(Value row, Value block, int64_t bytes) { return k.at(row, k.mul(k.sub(block, tile.segment), bytes)); }
  Value wide(Value i64) { return k.broadcast(mlir::arith::TruncIOp::create(k.b, k.i32Type(), i64)); }
  Value adjust(Value score, Value slot, Value keys, Value position);
  Value largest(Value slot, Value from, Value to, bool masked, Value before);
  void slotToFactors(Value slot, Value wholeFirst, Value wholeEnd);
  void combine();
};

// What a segment counts for in the total, 16 lanes: M' = max(M, m), of the total 2^(M - M'), of the segment 2^(m - M'),
// the sum of p in proportion.
struct Combination {
  Value maxima, sums, ofTotal, ofSegment;
};
Combination combineSegment(KernelBuilder &k, Value maxima, Value sums, Value segmentMaxima, Value segmentSums);

// A head's sum of p with its sink: its logit, an f32, joins the softmax's sum alone.
Value addSink(KernelBuilder &k, Value sink, Value maximum, Value sum);
// out[i] = totals[i] / sum, i < valueDim; `columns`: whole vectors of totals.
void storeHead(KernelBuilder &k, Value totals, Value sum, Value columns, Value valueDim, Value out);

} // namespace llmc::cpu
