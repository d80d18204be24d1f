// The two products of attention, scores = K q and sums of V p, on tiles of registers: up to `width` query slots by 16
// lanes (tokens of K, columns of V). A slot is a row of the step and a query head; the slots of a tile share a sequence
// and a key-value head, so that a line of a page is loaded once for all of them.
#pragma once

#include "codegen/cpu/kinds/Pages.h"

namespace llmc::cpu {

inline constexpr int64_t kSegmentBlocks = 16; // of 16 keys
inline constexpr int64_t kSegmentKeys = kSegmentBlocks * kPageTokens;
inline constexpr int64_t kScoreRowBytes = 4 * kSegmentKeys; // of one slot's scores, and of its p in their place

// A chain of sums of a line's values times factors that are broadcast: fma in f32, or the bf16 dot of pairs with
// factors rounded to bf16 where pages are bf16 and the tier has it.
class LineProduct {
public:
  LineProduct(KernelBuilder &k, const PageLayout &layout);
  bool isBf16Dot() const { return bf16Dot_; }
  int64_t factorBytes() const { return bf16Dot_ ? 2 : 4; }
  // `step` vectors of f32, or one of bf16 pairs.
  Values load(Value line);
  // sum + line x factors, in order; `factors`: `step` of them side by side.
  Value add(Value sum, ValueRange line, Value factors);
  // 16 x f32 as factors.
  void storeFactors(Value values, Value pointer);

private:
  KernelBuilder &k_;
  PageLayout layout_;
  bool bf16Dot_;
};

// One tile in one segment of one sequence's keys.
struct AttentionTile {
  KernelBuilder &k;
  PagedCache &cache;
  LineProduct &product;
  Value keyDim, valueColumns; // valueColumns: whole vectors
  // Where things lie, each for `width` slots:
  Value query;                // factors [ceil(key_dim / 16)][width][16]
  Value scores;               // a row of kScoreRowBytes a slot: f32 [256], then factors [256]
  Value valueScales;          // f32 [256], one row for all slots; int8 pages only
  Value ofTotal, ofSegment;   // f32 [width]
  Value out;                  // f32 [width][value_pad]
  // Which keys:
  Value sequence, kvHead;
  Value segment;              // its first block
  Value first, end;           // blocks of it that the tile looks at
  Value last;                 // block of the sequence that the tile looks at, at most
  bool apart;                 // the segment's sums stay apart from those of the segments before
  int64_t group;              // query heads of a key-value head, where that is known; else 0

  // Slots of a full tile: what the registers hold.
  static int64_t width(const codegen::CpuTier &tier) { return tier.vectorBits == 512 ? 16 : 4; }
  // Calls body(n) with n a power of two, `count` rounded up. Code is made for the n that there can be.
  void forSlots(Value count, const std::function<void(int64_t)> &body);

  // scores[slot][key] of `slots` slots for all blocks, and the scales of the values.
  void emitScores(int64_t slots);
  // out = out x ofTotal + (sum over the keys of p x V) x ofSegment; apart: out = the sum over the keys.
  void emitValues(int64_t slots);

private:
  bool canBe(int64_t slots) const;
  int64_t side(int64_t slots) const; // vectors side by side, so that small tiles too have sums enough to hide latency
  void scorePages(Value block, int64_t slots, int64_t pages);
  Values scoreLines(ValueRange keys, Value firstLine, int64_t lines, Value factors, int64_t slots, Values sums);
  void valueColumnsAt(Value column, int64_t slots, int64_t vectors);
  Values valuePage(Value block, Value column, int64_t slots, int64_t vectors, Values sums);
};

} // namespace llmc::cpu
