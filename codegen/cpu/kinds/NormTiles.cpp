#include "codegen/cpu/kinds/NormTiles.h"

namespace llmc::cpu {

using namespace mlir;

Value TiledNorm::kept(Value row, int64_t index) { return k.at(k.scratch(), k.add(k.mul(row, 8), 4 * index)); }

void TiledNorm::measureRows(const Tile &tile) {
  if (!norm.sized()) return;
  k.loop(k.i64(0), tile.rows, 1, [&](Value row) {
    Norm::Size size = norm.measure(norm.source(k.add(tile.first, row)));
    k.store(size.factor, kept(row, 0));
    if (size.mean) k.store(size.mean, kept(row, 1));
  });
}

Values TiledNorm::columnsOf(const Tile &tile, Value row, Value run) {
  Value source = norm.source(k.add(tile.first, row)), first = k.mul(run, kVectorsPerRun);
  Norm::Size size;
  if (norm.sized()) size.factor = k.loadF32(kept(row, 0));
  if (norm.config.kind == "layer") size.mean = k.loadF32(kept(row, 1));
  Values vectors;
  for (int64_t i = 0; i < kVectorsPerRun; ++i) {
    Value vector = k.add(first, i), valid = k.sub(norm.columns, k.mul(vector, kLanes));
    vectors.push_back(k.ifElse(
        k.less(k.i64(0), valid), [&] { return norm.normalized(source, vector, size, valid); },
        [&] { return k.splat(0); }));
  }
  return vectors;
}

void TiledNorm::emit() {
  Value perTile = k.mul(norm.runs, kTileRows);
  // The runs of a tile whose first item is one of ours.
  auto firstRun = [&](Value items, Value rows) { return k.div(k.sub(k.add(items, rows), k.i64(1)), rows); };
  Value last = k.div(k.add(k.end(), k.sub(perTile, k.i64(1))), perTile);
  k.loop(k.div(k.begin(), perTile), last, 1, [&](Value index) {
    Value row = k.mul(index, kTileRows), start = k.mul(index, perTile);
    Tile tile{row, k.min(k.sub(norm.n, row), k.i64(kTileRows))};
    Value runs = firstRun(k.sub(k.max(k.begin(), start), start), tile.rows);
    Value end = k.min(firstRun(k.sub(k.end(), start), tile.rows), norm.runs);
    k.ifThen(k.less(runs, end), [&] { measureRows(tile); });
    k.loop(runs, end, 1, [&](Value run) {
      k.loop(k.i64(0), tile.rows, 1, [&](Value row) { roundRun(tile, row, run, columnsOf(tile, row, run)); });
    });
  });
}

} // namespace llmc::cpu
