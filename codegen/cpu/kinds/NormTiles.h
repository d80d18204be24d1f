// The norms that round their rows for a linear, into tiles of 16 rows. A work item is a run of 128 columns of one row;
// those of a tile's rows lie side by side, and whoever takes the first of them does them all: the tile interleaves its
// rows, and two threads in one tile would write into each other's cache lines.
#pragma once

#include "codegen/cpu/kinds/Norm.h"

namespace llmc::cpu {

inline constexpr int64_t kRunColumns = 128;
inline constexpr int64_t kVectorsPerRun = kRunColumns / kLanes;

class TiledNorm {
public:
  // `columns`: what a row has in the tile, padding included.
  TiledNorm(KernelBuilder &k, const NormConfig &config, int64_t columnsPerChunk)
      : k(k), norm(k, config), columns(k.mul(norm.ldOut, columnsPerChunk)) {}
  virtual ~TiledNorm() = default;
  void emit();

  // Mean and factor of a tile's rows.
  static constexpr int64_t kScratchBytes = 2 * 4 * kTileRows;

protected:
  struct Tile {
    Value first, rows; // of the step
  };
  // Rounds the normalized columns of a run: 8 vectors, zero where there are none.
  virtual void roundRun(const Tile &tile, Value row, Value run, ValueRange vectors) = 0;

  KernelBuilder &k;
  Norm norm;
  Value columns;

private:
  Value kept(Value row, int64_t index);
  void measureRows(const Tile &tile);
  Values columnsOf(const Tile &tile, Value row, Value run);
};

} // namespace llmc::cpu
