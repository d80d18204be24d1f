// What the linears on rounded inputs share. Inputs lie in tiles of 16 rows of the step (docs/kernels.md); one vector of
// outputs by up to `width` rows of a tile is computed at a time. For many rows, items are taken in panels whose weights
// stay in L2 while the tiles pass.
#pragma once

#include "codegen/cpu/kinds/Linear.h"

namespace llmc::cpu {

struct RowTile {
  Value first;              // its first row of the step
  Value rows;               // 1 to 16; a constant wherever it can be
  Value inputs, corr, scale; // the last two of int8 inputs
};

class TiledLinear {
public:
  TiledLinear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
              Value blockBytes)
      : k(k), config(config), d(d), outputs_(outputs), blockBytes_(blockBytes) {}
  virtual ~TiledLinear() = default;
  void emit(const VariantInfo &variant);

  // Bytes of a thread's scratch: sums of a tile on their way to the epilogue. A linear may have more behind them.
  static int64_t scratchBytes(const LinearConfig &config, const codegen::CpuTier &tier) {
    return 2 * rowsAtOnce(config, tier) * 4 * kLanes;
  }

protected:
  virtual RowTile tileAt(Value first, Value rows) = 0;
  // Before the items that a tile meets: what they all need of it may be left in the scratch.
  virtual void prepare(const RowTile &tile) {}
  // A row block's dot products with rows [t, t + count) of the tile, into out: 64 bytes a row.
  virtual void dots(Value block, const RowTile &tile, Value t, int64_t count, Value out) = 0;

  int64_t scratchBytes() const { return scratchBytes(config, k.tier); }
  Value weightsOf(Value unit, Value block) { // of the unit
    return k.at(d.weight, k.mul(k.add(k.mul(unit, config.blocksPerUnit()), block), blockBytes_));
  }
  // Where the sums of a row and a unit's block wait for the epilogue.
  Value saved(Value row, Value block);
  // The epilogue of rows [t, t + count) of the tile.
  void finishRows(Value unit, const RowTile &tile, Value t, Value count);
  // The item for a tile; `rows` calls finishRows(unit, ...) until it has been for all of the tile's rows.
  void itemOf(Value item, const RowTile &tile, const KernelBuilder::Body &rows);

  KernelBuilder &k;
  const LinearConfig &config;
  const LinearDispatch &d;

private:
  void rowsOf(Value unit, const RowTile &tile, Value t, int64_t count);
  void runsOf(Value unit, const RowTile &tile, Value first, int64_t width);
  void panel(Value first, Value last, int64_t width);

  LinearOutputs &outputs_;
  Value blockBytes_;
};

} // namespace llmc::cpu
