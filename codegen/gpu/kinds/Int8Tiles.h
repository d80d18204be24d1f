// Rows rounded to int8 in the tiles of docs/kernels.md: where the values, the corrections and the scales of a row lie. Places
// are in words.
#pragma once

#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

struct Int8Tiles {
  static constexpr int64_t kRunColumns = 128; // that share a scale
  static constexpr int64_t kTileRows = 16;

  GpuBuilder &k;
  Value count;        // of rows
  Value quads;        // words of a row's values: Kp / 4
  Value groups, runs; // of a row

  Int8Tiles(GpuBuilder &k, const Scheme &scheme, Value count, Value chunks, Value runs)
      : k(k), count(count), quads(k.mul(chunks, scheme.columns_per_chunk() / 4)), groups(k.mul(chunks, 2)), runs(runs) {}

  struct Row {
    Value first, rows, inTile; // of the tile: its first row and how many it has; the row's own place
  };
  Row row(Value index) {
    Value inTile = k.rem(index, kTileRows), first = k.sub(index, inTile);
    return {first, k.min(k.sub(count, first), k.index(kTileRows)), inTile};
  }

  Value q(const Row &row, Value quad) { return place(row, quads, quad); } // of columns 4 quad to 4 quad + 3
  Value corr(const Row &row, Value group) { return place(row, groups, group); }
  Value scale(const Row &row, Value run) { return place(row, runs, run); }

private:
  Value place(const Row &row, Value ofRow, Value index) {
    return k.add(k.mul(row.first, ofRow), k.add(k.mul(index, row.rows), row.inTile));
  }
};

// Rounds row `row` of value(column), column < columns, to operand `first` (its values), first + 1 (its corrections) and
// first + 2 (its scales), by a workgroup of 16 threads.
void storeInt8Row(GpuBuilder &k, const Scheme &scheme, int first, const Int8Tiles &tiles, Value columns, Value row,
                  llvm::function_ref<Value(Value column)> value);

} // namespace llmc::gpu
