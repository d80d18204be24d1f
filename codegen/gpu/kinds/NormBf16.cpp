// Rows rounded to bf16, by a workgroup of 16 threads: the bits of the CPU's norm wherever a division is rounded to nearest.
#include "codegen/gpu/kinds/RowTiles.h"

namespace llmc::gpu {

using namespace mlir;

// What is smaller than 2^-100 becomes zero; what lies behind the last column is zero.
void storeBf16Row(GpuBuilder &k, int out, Bf16Tiles tiles, Value columns, Value row,
                  llvm::function_ref<Value(Value)> value) {
  Bf16Tiles::Row place = tiles.row(row);
  auto bits = [&](Value i) -> Value {
    Value x = value(k.min(i, k.sub(columns, k.index(1))));
    Value size = arith::AndIOp::create(k.b, arith::BitcastOp::create(k.b, k.i32Type(), x), k.i32(0x7fffffff));
    Value isTiny = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, size, k.i32((127 - 100) << 23));
    Value isZero = arith::OrIOp::create(k.b, isTiny, k.less(k.sub(columns, k.index(1)), i));
    return k.select(isZero, k.i32(0), k.bf16Bits(x));
  };
  // Pair i of eight columns begins with column 4 (i mod 2) + i / 2, and goes on two columns further.
  k.loop(k.thread(), tiles.pairs, kLanes, [&](Value pair) {
    Value inEight = k.rem(pair, 4);
    Value first = k.add(k.mul(k.div(pair, 4), 8), k.add(k.mul(k.rem(inEight, 2), 4), k.div(inEight, 2)));
    Value second = arith::ShLIOp::create(k.b, bits(k.add(first, 2)), k.i32(16));
    k.storeWord(out, arith::OrIOp::create(k.b, bits(first), second), tiles.pair(place, pair));
  });
}

} // namespace llmc::gpu
