// Rows that were rounded for a linear, in the tiles of docs/kernels.md: where what belongs to a row lies. Places are in
// words.
#pragma once

#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

struct RowTiles {
  static constexpr int64_t kTileRows = 16; // but the last, which has what is left

  GpuBuilder &k;
  Value count; // of rows

  RowTiles(GpuBuilder &k, Value count) : k(k), count(count) {}

  struct Row {
    Value first, rows, inTile; // of the tile: its first row and how many it has; the row's own place
  };
  Row row(Value index) {
    Value inTile = k.rem(index, kTileRows), first = k.sub(index, inTile);
    return {first, k.min(k.sub(count, first), k.index(kTileRows)), inTile};
  }
  // So many rows further in the tile, or its last: rows of one tile share what places are computed from.
  Row further(const Row &row, Value by) {
    return {row.first, row.rows, k.min(k.add(row.inTile, by), k.sub(row.rows, k.index(1)))};
  }
  // Word `index` of a row, of which each has `ofRow`.
  Value place(const Row &row, Value ofRow, Value index) {
    return k.add(k.mul(row.first, ofRow), k.add(k.mul(index, row.rows), row.inTile));
  }
};

struct Int8Tiles : RowTiles {
  static constexpr int64_t kRunColumns = 128; // that share a scale

  Value quads;        // words of a row's values: Kp / 4
  Value groups, runs; // of a row

  Int8Tiles(GpuBuilder &k, const Scheme &scheme, Value count, Value chunks, Value runs)
      : RowTiles(k, count), quads(k.mul(chunks, scheme.columns_per_chunk() / 4)), groups(k.mul(chunks, 2)), runs(runs) {}

  Value q(const Row &row, Value quad) { return place(row, quads, quad); } // of columns 4 quad to 4 quad + 3
  Value corr(const Row &row, Value group) { return place(row, groups, group); }
  Value scale(const Row &row, Value run) { return place(row, runs, run); }
};

struct Bf16Tiles : RowTiles {
  static constexpr int64_t kUnitColumns = 32; // that Kp is a multiple of
  // Of each eight columns, in the order of their words.
  static constexpr int64_t kPairs[4][2] = {{0, 2}, {4, 6}, {1, 3}, {5, 7}};

  Value pairs; // of a row: Kp / 2

  Bf16Tiles(GpuBuilder &k, Value count, Value units) : RowTiles(k, count), pairs(k.mul(units, kUnitColumns / 2)) {}

  Value pair(const Row &row, Value index) { return place(row, pairs, index); }
};

// Rounds row `row` of value(column), column < columns, to operand `first` (its values), first + 1 (its corrections) and
// first + 2 (its scales), by a workgroup of 16 threads.
void storeInt8Row(GpuBuilder &k, const Scheme &scheme, int first, const Int8Tiles &tiles, Value columns, Value row,
                  llvm::function_ref<Value(Value column)> value);
// Likewise to operand `out`.
void storeBf16Row(GpuBuilder &k, int out, Bf16Tiles tiles, Value columns, Value row,
                  llvm::function_ref<Value(Value column)> value);

} // namespace llmc::gpu
