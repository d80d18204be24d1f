// The norm that rounds its rows to int8, a scale for every 128 columns.
#include "codegen/cpu/kinds/NormTiles.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

class Int8Norm : public TiledNorm {
public:
  Int8Norm(KernelBuilder &k, const NormConfig &config)
      : TiledNorm(k, config, config.scheme->columns_per_chunk()), scheme(*config.scheme) {}

private:
  const Scheme &scheme;

  Value q(const Tile &tile) { return k.at(norm.out, k.mul(tile.first, columns)); }
  Value corr(const Tile &tile) { return k.at(norm.corr, k.mul(k.mul(tile.first, norm.ldOut), 8)); }
  Value scale(const Tile &tile) { return k.at(norm.scale, k.mul(k.mul(tile.first, norm.runs), 4)); }

  // 16 rounded columns into their four places of the tile; returns them as int32.
  Value storeRounded(const Tile &tile, Value row, Value column, Value vector, Value inverse) {
    auto &b = k.b;
    Value rounded = math::RoundEvenOp::create(b, k.mulf(vector, inverse));
    Value integers = arith::FPToSIOp::create(b, k.vec(k.i32Type()), rounded);
    Value bytes = arith::TruncIOp::create(b, k.vec(k.i8Type()), integers);
    Value words = vector::BitCastOp::create(b, k.vec(k.i32Type(), 4), bytes);
    for (int64_t word = 0; word < 4; ++word) {
      Value place = k.add(k.mul(k.add(k.div(column, 4), word), tile.rows), row);
      k.store(vector::ExtractOp::create(b, words, llvm::ArrayRef<int64_t>{word}), k.at(q(tile), k.mul(place, 4)));
    }
    return integers;
  }

  void roundRun(const Tile &tile, Value row, Value run, ValueRange vectors) override {
    auto &b = k.b;
    Value largest = k.splat(0);
    for (Value vector : vectors) largest = k.maxf(math::AbsFOp::create(b, vector), largest);
    Value size = k.maximum(largest);
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, size, k.f32(0));
    Value inverse = k.broadcast(k.select(isZero, k.f32(0), k.divf(k.f32(127), size)));
    k.store(k.divf(size, k.f32(127)), k.at(scale(tile), k.mul(k.add(k.mul(run, tile.rows), row), 4)));
    // The groups inside exist while their first column is one.
    int64_t vectorsPerGroup = scheme.group / kLanes;
    for (int64_t i = 0; i < kVectorsPerRun; i += vectorsPerGroup) {
      Value column = k.add(k.mul(run, kRunColumns), i * kLanes);
      k.ifThen(k.less(column, columns), [&] {
        Value total = k.splatInt(0);
        for (int64_t j = 0; j < vectorsPerGroup; ++j)
          total = arith::AddIOp::create(
              b, total, storeRounded(tile, row, k.add(column, j * kLanes), vectors[i + j], inverse));
        Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
        Value place = k.add(k.mul(k.div(column, scheme.group), tile.rows), row);
        k.store(arith::MulIOp::create(b, sum, k.i32(-scheme.zero)), k.at(corr(tile), k.mul(place, 4)));
      });
    }
  }
};

} // namespace

void emitInt8Norm(KernelBuilder &k, const NormConfig &config) { Int8Norm(k, config).emit(); }

} // namespace llmc::cpu
