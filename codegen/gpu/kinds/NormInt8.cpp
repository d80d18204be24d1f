// Rows rounded to int8, a scale for every 128 columns, by a workgroup of 16 threads: the bits of the CPU's norm wherever a
// division is rounded to nearest.
#include "codegen/gpu/kinds/RowTiles.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr int64_t kRun = Int8Tiles::kRunColumns;

struct Int8Rows {
  GpuBuilder &k;
  const Scheme &scheme;
  int q, corr, scale; // operands
  Value columns;
  Int8Tiles tiles;
  Value memory; // shared: [128] the run's integers as f32

  // The largest magnitude in the run, in all threads. Which of equal ones comes first makes no difference.
  Value absmax(ValueRange own) {
    Value most = k.f32(0);
    for (Value x : own) most = k.maxf(math::AbsFOp::create(k.b, x), most);
    return k.maxOfThreads(most, kLanes);
  }

  Value integerAt(Value at) {
    return arith::FPToSIOp::create(k.b, k.i32Type(), k.loadShared(memory, at));
  }

  // Four columns a word.
  void storeQuads(const Int8Tiles::Row &row, Value run) {
    for (int64_t i = 0; i < kRun / 4 / kLanes; ++i) {
      Value own = k.add(k.thread(), i * kLanes), quad = k.add(k.mul(run, kRun / 4), own), word;
      k.ifThen(k.less(quad, tiles.quads), [&] {
        for (int64_t byte = 0; byte < 4; ++byte) {
          Value bits = arith::AndIOp::create(k.b, integerAt(k.add(k.mul(own, 4), byte)), k.i32(0xff));
          bits = arith::ShLIOp::create(k.b, bits, k.i32(int32_t(8 * byte)));
          word = word ? Value(arith::OrIOp::create(k.b, word, bits)) : bits;
        }
        k.storeWord(q, word, tiles.q(row, quad));
      });
    }
  }

  // -zero times the sum of each group, a thread a group: exact in f32, which the sum of 128 such integers is too.
  void storeCorrections(const Int8Tiles::Row &row, Value run) {
    Value group = k.add(k.mul(run, kRun / scheme.group), k.thread());
    Value exists = k.logicalAnd(k.less(k.thread(), k.index(kRun / scheme.group)), k.less(group, tiles.groups));
    k.ifThen(exists, [&] {
      Value first = k.mul(k.thread(), scheme.group);
      Value sum = k.loop(k.index(0), k.index(scheme.group), 1, k.zeros(1), [&](Value i, ValueRange carried) {
        return Values{k.addf(carried[0], k.loadShared(memory, k.add(first, i)))};
      })[0];
      Value whole = arith::FPToSIOp::create(k.b, k.i32Type(), sum);
      k.storeWord(corr, arith::MulIOp::create(k.b, whole, k.i32(-scheme.zero)), tiles.corr(row, group));
    });
  }

  void roundRun(const Int8Tiles::Row &row, Value run, llvm::function_ref<Value(Value)> value) {
    Values own;
    for (int64_t i = 0; i < kRun / kLanes; ++i) {
      Value column = k.add(k.add(k.mul(run, kRun), k.thread()), i * kLanes);
      own.push_back(k.ifElse(k.less(column, columns), [&] { return value(column); }, [&] { return k.f32(0); }));
    }
    Value size = absmax(own);
    Value isZero = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OEQ, size, k.f32(0));
    Value inverse = k.select(isZero, k.f32(0), k.divf(k.f32(127), size));
    for (auto [i, x] : llvm::enumerate(own))
      k.storeShared(memory, math::RoundEvenOp::create(k.b, k.mulf(x, inverse)), k.add(k.thread(), int64_t(i) * kLanes));
    k.barrier();
    storeQuads(row, run);
    storeCorrections(row, run);
    k.ifThen(k.equal(k.thread(), k.index(0)),
             [&] { k.storeF32(scale, k.divf(size, k.f32(127)), tiles.scale(row, run)); });
    k.barrier(); // before the memory is written again
  }
};

} // namespace

void storeInt8Row(GpuBuilder &k, const Scheme &scheme, int first, const Int8Tiles &tiles, Value columns, Value row,
                  llvm::function_ref<Value(Value column)> value) {
  Int8Rows rows{k, scheme, first, first + 1, first + 2, columns, tiles, k.shared(kRun)};
  Int8Tiles::Row place = rows.tiles.row(row);
  k.loop(k.index(0), rows.tiles.runs, 1, [&](Value run) { rows.roundRun(place, run, value); });
}

} // namespace llmc::gpu
