// The norm that rounds its rows to bf16 for linears that multiply pairs of columns.
#include "codegen/cpu/PairDot.h"
#include "codegen/cpu/kinds/NormTiles.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

class Bf16Norm : public TiledNorm {
public:
  Bf16Norm(KernelBuilder &k, const NormConfig &config) : TiledNorm(k, config, kChainColumns) {}

private:
  Value splatBits(uint32_t bits) { return k.splatInt(int32_t(bits)); }

  // To nearest even, by integers on every tier. A NaN keeps its upper half with the quiet bit set. What is smaller than
  // 2^-100 becomes zero: then no sum of products with a scheme's integers is subnormal, and the tiers agree.
  Value rounded(Value vector) {
    auto &b = k.b;
    Value bits = arith::BitcastOp::create(b, k.vec(k.i32Type()), vector);
    Value last = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, splatBits(16)), splatBits(1));
    Value nearest = arith::AddIOp::create(b, bits, arith::AddIOp::create(b, last, splatBits(0x7fff)));
    Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, vector, vector);
    Value quiet = arith::OrIOp::create(b, bits, splatBits(0x400000));
    Value kept = arith::AndIOp::create(b, k.select(isNan, quiet, nearest), splatBits(0xffff0000));
    Value size = arith::AndIOp::create(b, bits, splatBits(0x7fffffff));
    Value tiny = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, size, splatBits((127 - 100) << 23));
    return arith::BitcastOp::create(b, k.f32Vec(), k.select(tiny, k.splatInt(0), kept));
  }

  // 16 columns as 8 pairs, each to its place in the tile.
  void storePairs(Value pairs, Value tile, Value tileRows, Value row, Value column) {
    auto &b = k.b;
    int64_t bytes = 2 * PairDot::inputBytes(k.tier), words = bytes / 4;
    for (int64_t pair = 0; pair < kLanes / 2; ++pair) {
      Value place = k.at(tile, k.mul(k.add(k.mul(k.add(k.div(column, 2), pair), tileRows), row), bytes));
      for (int64_t word = 0; word < words; ++word) {
        Value value = vector::ExtractOp::create(b, pairs, llvm::ArrayRef<int64_t>{pair * words + word});
        k.store(value, k.at(place, 4 * word));
      }
    }
  }

  void roundRun(const Tile &tile, Value row, Value run, ValueRange vectors) override {
    Value base = k.at(norm.out, k.mul(k.mul(tile.first, columns), PairDot::inputBytes(k.tier)));
    for (auto [i, vector] : llvm::enumerate(vectors)) {
      Value column = k.add(k.mul(run, kRunColumns), int64_t(i) * kLanes);
      k.ifThen(k.less(column, columns), [&] {
        storePairs(PairDot::pairsOf(k, rounded(vector)), base, tile.rows, row, column);
      });
    }
  }
};

} // namespace

void emitBf16Norm(KernelBuilder &k, const NormConfig &config) { Bf16Norm(k, config).emit(); }

} // namespace llmc::cpu
