#include "codegen/cpu/kinds/LinearTiles.h"

namespace llmc::cpu {

using namespace mlir;

static constexpr int64_t kPanelBytes = 384 << 10; // of weights that stay in L2 while the tiles of rows pass

Value TiledLinear::saved(Value row, Value block) {
  return k.at(k.scratch(), k.add(k.mul(row, 64), k.mul(block, 64 * rowsAtOnce(config, k.tier))));
}

// The epilogue's code exists once, not once a row.
void TiledLinear::finishRows(Value unit, const RowTile &tile, Value t, Value count) {
  k.loop(k.i64(0), count, 1, [&](Value row) {
    Values own;
    for (int64_t i = 0; i < config.blocksPerUnit(); ++i) own.push_back(k.load(k.f32Vec(), saved(row, k.i64(i)), 64));
    finishUnit(k, config, d, outputs_, unit, tile.first, k.add(t, row), own);
  });
}

// Rows [t, t + count) of the tile for one unit.
void TiledLinear::rowsOf(Value unit, const RowTile &tile, Value t, int64_t count) {
  for (int64_t i = 0; i < config.blocksPerUnit(); ++i)
    dots(weightsOf(unit, k.i64(i)), tile, t, count, saved(k.i64(0), k.i64(i)));
  finishRows(unit, tile, t, k.i64(count));
}

void TiledLinear::itemOf(Value item, const RowTile &tile, const KernelBuilder::Body &rows) {
  outputs_.units(item, rows);
  outputs_.finish(item, tile.first, tile.rows);
}

// A tile's rows from `first` on in runs of `width`, and the rest at once: each run reads all of the unit's weights. Code
// for every rest is made; on 256 bits, where a row block is several vectors, runs of half the width come between.
void TiledLinear::runsOf(Value unit, const RowTile &tile, Value first, int64_t width) {
  Value left = k.sub(tile.rows, first), whole = k.add(first, k.mul(k.div(left, width), width));
  k.loop(first, whole, width, [&](Value t) { rowsOf(unit, tile, t, width); });
  if (k.tier.vectorBits == 256 && width > 4) return runsOf(unit, tile, whole, width / 2);
  Value rest = k.sub(tile.rows, whole);
  for (int64_t count = 1; count < width; ++count)
    k.ifThen(arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, rest, k.i64(count)),
             [&] { rowsOf(unit, tile, whole, count); });
}

void TiledLinear::panel(Value first, Value last, int64_t width) {
  Value whole = k.mul(k.div(d.n, kTileRows), kTileRows);
  k.loop(k.i64(0), whole, kTileRows, [&](Value row) {
    RowTile tile = tileAt(row, k.i64(kTileRows));
    prepare(tile);
    k.loop(first, last, 1, [&](Value item) {
      itemOf(item, tile, [&](Value unit) {
        k.loop(k.i64(0), k.i64(kTileRows), width, [&](Value t) { rowsOf(unit, tile, t, width); });
      });
    });
  });
  k.loop(whole, d.n, kTileRows, [&](Value row) {
    RowTile tile = tileAt(row, k.sub(d.n, row));
    prepare(tile);
    k.loop(first, last, 1, [&](Value item) {
      itemOf(item, tile, [&](Value unit) { runsOf(unit, tile, k.i64(0), std::min(width, kTileRows / 2)); });
    });
  });
}

void TiledLinear::emit(const VariantInfo &variant) {
  if (variant.lastRows < kTileRows) { // one tile
    bool known = variant.lastRows <= 1 || variant.firstRows == variant.lastRows;
    RowTile tile = tileAt(k.i64(0), known ? k.i64(variant.lastRows) : d.n);
    prepare(tile);
    k.loop(k.begin(), k.end(), 1, [&](Value item) {
      itemOf(item, tile, [&](Value unit) {
        if (!known) return runsOf(unit, tile, k.i64(0), variant.width);
        for (int64_t t = 0; t < variant.lastRows; t += variant.width)
          rowsOf(unit, tile, k.i64(t), std::min<int64_t>(variant.width, variant.lastRows - t));
      });
    });
    return;
  }
  Value itemBytes = k.max(k.mul(k.mul(blockBytes_, config.blocksPerUnit()), outputs_.mostUnits()), k.i64(1));
  Value items = k.max(k.div(k.i64(kPanelBytes), itemBytes), k.i64(1)); // of a panel
  Value panels = k.div(k.sub(k.add(k.sub(k.end(), k.begin()), items), k.i64(1)), items);
  k.loop(k.i64(0), panels, 1, [&](Value p) {
    Value first = k.add(k.begin(), k.mul(p, items));
    panel(first, k.min(k.add(first, items), k.end()), variant.width);
  });
}

} // namespace llmc::cpu
