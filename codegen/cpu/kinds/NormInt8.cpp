// The norm that rounds its rows to int8, a scale for every 128 columns. A work item is such a run of columns of one row;
// those of a tile's rows (16) lie side by side, and whoever takes the first of them does them all: the tile interleaves
// its rows by four columns, and two threads in one tile would write into each other's cache lines.
#include "codegen/cpu/kinds/Norm.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kScaleColumns = 128;
constexpr int64_t kVectorsPerScale = kScaleColumns / kLanes;
constexpr int64_t kTileRows = 16;

struct Int8Norm {
  KernelBuilder &k;
  Norm norm;
  const Scheme &scheme;
  Value kp; // columns, padded to whole chunks

  struct Tile {
    Value first, rows; // of the step
    Value q, corr, scale;
  };

  Tile tileAt(Value index) {
    Value first = k.mul(index, kTileRows);
    return {first, k.min(k.sub(norm.n, first), k.i64(kTileRows)), k.at(norm.out, k.mul(first, kp)),
            k.at(norm.corr, k.mul(k.mul(first, norm.ldOut), 8)), k.at(norm.scale, k.mul(k.mul(first, norm.scales), 4))};
  }

  Value kept(Value row, int64_t index) { return k.at(k.scratch(), k.add(k.mul(row, 8), 4 * index)); }

  void measureRows(const Tile &tile) {
    if (!norm.sized()) return;
    k.loop(k.i64(0), tile.rows, 1, [&](Value row) {
      Norm::Size size = norm.measure(norm.source(k.add(tile.first, row)));
      k.store(size.factor, kept(row, 0));
      if (size.mean) k.store(size.mean, kept(row, 1));
    });
  }

  // Normalized columns [128 run, ...) of a row: 8 vectors, zero where there are none.
  Values columnsOf(const Tile &tile, Value row, Value run) {
    Value source = norm.source(k.add(tile.first, row)), first = k.mul(run, kVectorsPerScale);
    Norm::Size size;
    if (norm.sized()) size.factor = k.loadF32(kept(row, 0));
    if (norm.config.kind == "layer") size.mean = k.loadF32(kept(row, 1));
    Values vectors;
    for (int64_t i = 0; i < kVectorsPerScale; ++i) {
      Value vector = k.add(first, i), valid = k.sub(norm.columns, k.mul(vector, kLanes));
      vectors.push_back(k.ifElse(
          k.less(k.i64(0), valid), [&] { return norm.normalized(source, vector, size, valid); },
          [&] { return k.splat(0); }));
    }
    return vectors;
  }

  // 16 rounded columns into their four places of the tile; returns them as int32.
  Value storeRounded(const Tile &tile, Value row, Value column, Value vector, Value inverse) {
    auto &b = k.b;
    Value rounded = math::RoundEvenOp::create(b, k.mulf(vector, inverse));
    Value q = arith::FPToSIOp::create(b, k.vec(k.i32Type()), rounded);
    Value words = vector::BitCastOp::create(b, k.vec(k.i32Type(), 4), arith::TruncIOp::create(b, k.vec(k.i8Type()), q));
    for (int64_t word = 0; word < 4; ++word) {
      Value place = k.add(k.mul(k.add(k.div(column, 4), word), tile.rows), row);
      k.store(vector::ExtractOp::create(b, words, llvm::ArrayRef<int64_t>{word}), k.at(tile.q, k.mul(place, 4)));
    }
    return q;
  }

  void roundRow(const Tile &tile, Value row, Value run) {
    auto &b = k.b;
    Values vectors = columnsOf(tile, row, run);
    Value largest = k.splat(0);
    for (Value vector : vectors) largest = k.maxf(math::AbsFOp::create(b, vector), largest);
    Value size = k.maximum(largest);
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, size, k.f32(0));
    Value inverse = k.broadcast(k.select(isZero, k.f32(0), k.divf(k.f32(127), size)));
    k.store(k.divf(size, k.f32(127)), k.at(tile.scale, k.mul(k.add(k.mul(run, tile.rows), row), 4)));
    // The groups inside exist while their first column is below Kp.
    int64_t vectorsPerGroup = scheme.group / kLanes;
    for (int64_t i = 0; i < kVectorsPerScale; i += vectorsPerGroup) {
      Value column = k.add(k.mul(run, kScaleColumns), i * kLanes);
      k.ifThen(k.less(column, kp), [&] {
        Value total = k.splatInt(0);
        for (int64_t j = 0; j < vectorsPerGroup; ++j)
          total = arith::AddIOp::create(
              b, total, storeRounded(tile, row, k.add(column, j * kLanes), vectors[i + j], inverse));
        Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
        Value place = k.add(k.mul(k.div(column, scheme.group), tile.rows), row);
        k.store(arith::MulIOp::create(b, sum, k.i32(-scheme.zero)), k.at(tile.corr, k.mul(place, 4)));
      });
    }
  }
};

} // namespace

void emitInt8Norm(KernelBuilder &k, const NormConfig &config) {
  Norm norm(k, config);
  Value kp = k.mul(norm.ldOut, config.scheme->columnsPerChunk()); // ldOut is C here
  Int8Norm rounding{k, norm, *config.scheme, kp};
  Value perTile = k.mul(norm.scales, kTileRows);
  // The runs of a tile whose first item is one of ours.
  auto firstRun = [&](Value items, Value rows) { return k.div(k.sub(k.add(items, rows), k.i64(1)), rows); };
  Value last = k.div(k.add(k.end(), k.sub(perTile, k.i64(1))), perTile);
  k.loop(k.div(k.begin(), perTile), last, 1, [&](Value index) {
    Int8Norm::Tile tile = rounding.tileAt(index);
    Value start = k.mul(index, perTile);
    Value runs = firstRun(k.sub(k.max(k.begin(), start), start), tile.rows);
    Value end = k.min(firstRun(k.sub(k.end(), start), tile.rows), norm.scales);
    k.ifThen(k.less(runs, end), [&] { rounding.measureRows(tile); });
    k.loop(runs, end, 1, [&](Value run) {
      k.loop(k.i64(0), tile.rows, 1, [&](Value row) { rounding.roundRow(tile, row, run); });
    });
  });
}

} // namespace llmc::cpu
