#include "codegen/cpu/kinds/AttentionSoftmax.h"

#include "codegen/common/Math.h"

namespace llmc::cpu {

using namespace mlir;

Value firstKey(KernelBuilder &k, int64_t window, Value position) {
  return window ? k.max(k.add(position, 1 - window), k.i64(0)) : k.i64(0);
}

// Soft cap and ALiBi, and the factor that was left to the end.
Value TileSoftmax::adjust(Value score, Value slot, Value keys, Value position) {
  if (config.softCap != 0) {
    Value cap = k.splat(config.softCap);
    score = k.mulf(emitTanh(k, k.divf(score, cap)), cap);
  }
  if (slopes) {
    Value slope = k.broadcast(k.loadF32(k.at(slopes, k.mul(slot, 4))));
    Value distance = arith::SIToFPOp::create(k.b, k.f32Vec(), arith::SubIOp::create(k.b, keys, position));
    score = k.fma(slope, distance, score);
  }
  return k.mulf(score, k.splat(kLog2E));
}

// The largest score of blocks [from, to), lane by lane; adjusted and masked scores are stored back.
Value TileSoftmax::largest(Value slot, Value from, Value to, bool masked, Value before) {
  Value row = slotScores(slot);
  Value position = k.load(k.i32Type(), k.at(positions, k.mul(slot, 4)));
  Value firstSeen = wide(firstKey(arith::ExtUIOp::create(k.b, k.i64Type(), position)));
  Value own = k.broadcast(position);
  return k.loop(from, to, 1, {before}, [&](Value block, ValueRange carried) {
    Value place = inRow(row, block, 4 * kPageTokens);
    Value score = k.load(k.f32Vec(), place, 64);
    Value keys = arith::AddIOp::create(k.b, k.iota(), wide(k.mul(block, kPageTokens)));
    if (config.adjusts()) score = adjust(score, slot, keys, own);
    if (masked) {
      Value notAfter = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sle, keys, own);
      Value notBefore = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sge, keys, firstSeen);
      score = k.select(arith::AndIOp::create(k.b, notAfter, notBefore), score, k.splat(kNoScore));
    }
    if (masked || config.adjusts()) k.store(score, place, 64);
    return Values{k.maxf(score, carried[0])};
  })[0];
}

// Every key of blocks [wholeFirst, wholeEnd) is seen by every slot.
void TileSoftmax::slotToFactors(Value slot, Value wholeFirst, Value wholeEnd) {
  Value row = slotScores(slot);
  Value most = largest(slot, tile.first, wholeFirst, true, k.splat(kNoScore));
  most = largest(slot, wholeFirst, wholeEnd, false, most);
  most = k.maximum(largest(slot, wholeEnd, tile.end, true, most));
  k.store(most, k.at(segmentMaxima, k.mul(slot, 4)));
  Value base = k.broadcast(most);
  Values sum = k.loop(tile.first, tile.end, 1, {k.splat(0)}, [&](Value block, ValueRange carried) {
    Value score = k.load(k.f32Vec(), inRow(row, block, 4 * kPageTokens), 64);
    Value p = emitExp2(k, k.subf(score, base), tile.product.isBf16Dot());
    Value factor = p;
    if (tile.valueScales) factor = k.mulf(p, k.load(k.f32Vec(), inRow(tile.valueScales, block, 4 * kPageTokens), 64));
    tile.product.storeFactors(factor, inRow(row, block, kPageTokens * tile.product.factorBytes()));
    return Values{k.addf(carried[0], p)};
  });
  k.store(k.sum(sum[0]), k.at(segmentSums, k.mul(slot, 4)));
}

Combination combineSegment(KernelBuilder &k, Value maxima, Value sums, Value segmentMaxima, Value segmentSums) {
  Value now = k.maxf(segmentMaxima, maxima);
  Value ofTotal = emitExp2(k, k.subf(maxima, now)), ofSegment = emitExp2(k, k.subf(segmentMaxima, now));
  return {now, k.fma(segmentSums, ofSegment, k.mulf(sums, ofTotal)), ofTotal, ofSegment};
}

// All slots at once.
void TileSoftmax::combine() {
  auto load = [&](Value from) { return k.load(k.f32Vec(), from, 64); };
  Combination now = combineSegment(k, load(maxima), load(sums), load(segmentMaxima), load(segmentSums));
  k.store(now.sums, sums, 64);
  k.store(now.maxima, maxima, 64);
  k.store(now.ofTotal, tile.ofTotal, 64);
  k.store(now.ofSegment, tile.ofSegment, 64);
}

void TileSoftmax::emit(Value count) {
  auto clamp = [&](Value block) { return k.min(k.max(block, tile.first), tile.end); };
  Value wholeFirst = clamp(k.div(k.add(firstKey(greatest), kPageTokens - 1), kPageTokens));
  Value wholeEnd = k.max(clamp(k.div(k.add(least, 1), kPageTokens)), wholeFirst);
  k.store(k.splat(kNoScore), segmentMaxima, 64);
  k.store(k.splat(0), segmentSums, 64);
  k.loop(k.i64(0), count, 1, [&](Value slot) { slotToFactors(slot, wholeFirst, wholeEnd); });
  if (!tile.apart) combine();
}

// A sink may lie above every score: e^x of any x, here.
Value addSink(KernelBuilder &k, Value sink, Value maximum, Value sum) {
  Value over = k.subf(k.mulf(sink, k.f32(kLog2E)), maximum);
  Value natural = k.mulf(over, k.f32(1 / kLog2E));
  Value weight = vector::ExtractOp::create(k.b, emitExp(k, k.broadcast(natural)), llvm::ArrayRef<int64_t>{0});
  return k.addf(sum, weight);
}

void storeHead(KernelBuilder &k, Value totals, Value sum, Value columns, Value valueDim, Value out) {
  Value divisor = k.broadcast(sum);
  k.loop(k.i64(0), columns, kLanes, [&](Value i) {
    Value result = k.divf(k.loadVec(k.at(totals, k.mul(i, 4))), divisor);
    k.storeColumns(result, k.at(out, k.mul(i, 4)), k.sub(valueDim, i));
  });
}

} // namespace llmc::cpu
