#include "codegen/cpu/kinds/AttentionTile.h"

#include "runtime/abi/kernel.h"

#include <numeric>

namespace llmc::cpu {

using namespace mlir;

constexpr int64_t kCacheLine = 64;

LineProduct::LineProduct(KernelBuilder &k, const PageLayout &layout)
    : k_(k), layout_(layout),
      bf16Dot_(layout.element == "bf16" && (k.tier.features & LLMRT_FEATURE_AVX512_BF16)) {}

Values LineProduct::load(Value line) {
  auto &b = k_.b;
  if (layout_.element != "bf16") return {k_.loadElements(layout_.element, line)};
  Value pairs = k_.load(k_.vec(k_.i32Type()), line, 2);
  if (bf16Dot_) return {vector::BitCastOp::create(b, k_.vec(b.getBF16Type(), 2 * kLanes), pairs)};
  Value even = arith::ShLIOp::create(b, pairs, k_.splatInt(16));
  Value odd = arith::AndIOp::create(b, pairs, k_.splatInt(int32_t(0xffff0000)));
  return {arith::BitcastOp::create(b, k_.f32Vec(), even), arith::BitcastOp::create(b, k_.f32Vec(), odd)};
}

Value LineProduct::add(Value sum, ValueRange line, Value factors) {
  if (bf16Dot_) {
    Value pair = k_.broadcast(k_.load(k_.i32Type(), factors));
    Value wide = vector::BitCastOp::create(k_.b, line[0].getType(), pair);
    return k_.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", k_.f32Vec(), {sum, line[0], wide});
  }
  for (auto [i, values] : llvm::enumerate(line))
    sum = k_.fma(values, k_.broadcast(k_.loadF32(k_.at(factors, 4 * i))), sum);
  return sum;
}

void LineProduct::storeFactors(Value values, Value pointer) {
  if (!bf16Dot_) return k_.store(values, pointer, 64);
  k_.store(arith::TruncFOp::create(k_.b, k_.vec(k_.b.getBF16Type()), values), pointer, 32);
}

void AttentionTile::forSlots(Value count, const std::function<void(int64_t)> &body) {
  for (int64_t slots = 1; slots <= width(k.tier); slots *= 2) {
    if (!canBe(slots)) continue;
    Value fits = k.less(count, k.i64(slots + 1)), needed = k.less(k.i64(slots / 2), count);
    k.ifThen(arith::AndIOp::create(k.b, fits, needed), [&] { body(slots); });
  }
}

// Tiles are cut from one group where segments are apart, else from a multiple of it.
bool AttentionTile::canBe(int64_t slots) const {
  auto covers = [&](int64_t count) { return slots / 2 < count && count <= slots; };
  if (!apart) return group == 0 || slots >= std::gcd(group, width(k.tier));
  return group == 0 || (group >= width(k.tier) && covers(width(k.tier))) || covers(group % width(k.tier));
}

int64_t AttentionTile::side(int64_t slots) const { return std::min<int64_t>(4, width(k.tier) / slots); }

// ---- scores --------------------------------------------------------------------------------------------------------
void AttentionTile::emitScores(int64_t slots) {
  int64_t pages = side(slots);
  Value whole = k.add(first, k.mul(k.div(k.sub(end, first), pages), pages));
  k.loop(first, whole, pages, [&](Value block) { scorePages(block, slots, pages); });
  if (pages > 1) k.loop(whole, end, 1, [&](Value block) { scorePages(block, slots, 1); });
}

// Lines [firstLine, firstLine + lines) of each page times their factors. The values of the same page are fetched on the
// way: they are wanted when the segment's scores are done.
Values AttentionTile::scoreLines(ValueRange keys, Value firstLine, int64_t lines, Value factors, int64_t slots,
                                 Values sums) {
  int64_t lineBytes = cache.layout.lineBytes(), factorStep = cache.layout.step * product.factorBytes();
  Value start = k.mul(firstLine, lineBytes);
  for (int64_t line = 0; line < lines; ++line) {
    llvm::SmallVector<Values> loaded;
    for (Value page : keys) {
      Value at = k.at(page, k.add(start, line * lineBytes));
      if (line * lineBytes % kCacheLine == 0) k.prefetchL2(k.at(at, cache.keyBytes));
      loaded.push_back(product.load(at));
    }
    for (int64_t slot = 0; slot < slots; ++slot) {
      Value own = k.at(factors, slot * kLanes * product.factorBytes() + line * factorStep);
      for (auto [page, values] : llvm::enumerate(loaded)) {
        Value &sum = sums[slot * keys.size() + page];
        sum = product.add(sum, values, own);
      }
    }
  }
  return sums;
}

void AttentionTile::scorePages(Value block, int64_t slots, int64_t pages) {
  Values keys, scales;
  for (int64_t i = 0; i < pages; ++i) {
    Value page = cache.page(sequence, k.add(block, i));
    keys.push_back(cache.keys(page, kvHead));
    if (!cache.layout.hasScales()) continue;
    scales.push_back(k.loadVec(cache.keyScales(page, kvHead)));
    Value place = k.mul(k.sub(k.add(block, i), segment), 4 * kPageTokens);
    k.store(k.loadVec(cache.valueScales(page, kvHead)), k.at(valueScales, place), 64);
  }
  int64_t perBlock = kLanes / cache.layout.step; // lines of 16 values of the head
  int64_t factorBlock = width(k.tier) * kLanes * product.factorBytes();
  Value blocks = k.div(keyDim, kLanes);
  Values sums = k.loop(k.i64(0), blocks, 1, Values(slots * pages, k.splat(0)), [&](Value i, ValueRange carried) {
    return scoreLines(keys, k.mul(i, perBlock), perBlock, k.at(query, k.mul(i, factorBlock)), slots, Values(carried));
  });
  sums = k.loop(k.mul(blocks, perBlock), k.div(keyDim, cache.layout.step), 1, sums, [&](Value i, ValueRange carried) {
    Value inBlock = k.mul(k.rem(i, perBlock), cache.layout.step * product.factorBytes());
    Value factors = k.at(query, k.add(k.mul(k.div(i, perBlock), factorBlock), inBlock));
    return scoreLines(keys, i, 1, factors, slots, Values(carried));
  });
  Value to = k.at(scores, k.mul(k.sub(block, segment), 4 * kPageTokens));
  for (int64_t slot = 0; slot < slots; ++slot)
    for (int64_t page = 0; page < pages; ++page) {
      Value score = sums[slot * pages + page];
      if (cache.layout.hasScales()) score = k.mulf(score, scales[page]);
      k.store(score, k.at(to, slot * kScoreRowBytes + page * 4 * kPageTokens), 64);
    }
}

// ---- values --------------------------------------------------------------------------------------------------------
void AttentionTile::emitValues(int64_t slots) {
  int64_t vectors = side(slots);
  Value whole = k.mul(k.div(valueColumns, vectors * kLanes), vectors * kLanes);
  k.loop(k.i64(0), whole, vectors * kLanes, [&](Value column) { valueColumnsAt(column, slots, vectors); });
  if (vectors > 1) k.loop(whole, valueColumns, kLanes, [&](Value column) { valueColumnsAt(column, slots, 1); });
}

// The keys of the next segment are fetched on the way.
Values AttentionTile::valuePage(Value block, Value column, int64_t slots, int64_t vectors, Values sums) {
  int64_t step = cache.layout.step, lineBytes = cache.layout.lineBytes();
  Value offset = k.mul(column, step * cache.layout.bytes);
  Value row = k.at(cache.values(cache.page(sequence, block), kvHead), offset);
  Value next = k.min(k.add(block, kSegmentBlocks), last);
  Value ahead = k.at(cache.keys(cache.page(sequence, next), kvHead), offset);
  Value factors = k.at(scores, k.mul(k.sub(block, segment), kPageTokens * product.factorBytes()));
  Value rowBytes = k.mul(cache.valuePad, step * cache.layout.bytes);
  for (int64_t line = 0; line < kPageTokens / step; ++line) {
    llvm::SmallVector<Values> loaded;
    for (int64_t i = 0; i < vectors; ++i) {
      loaded.push_back(product.load(k.at(row, i * lineBytes)));
      if (i * lineBytes % kCacheLine == 0) k.prefetchL2(k.at(ahead, i * lineBytes));
    }
    for (int64_t slot = 0; slot < slots; ++slot) {
      Value own = k.at(factors, slot * kScoreRowBytes + line * step * product.factorBytes());
      for (auto [i, values] : llvm::enumerate(loaded)) {
        Value &sum = sums[slot * vectors + i];
        sum = product.add(sum, values, own);
      }
    }
    row = k.at(row, rowBytes);
    ahead = k.at(ahead, rowBytes);
  }
  return sums;
}

void AttentionTile::valueColumnsAt(Value column, int64_t slots, int64_t vectors) {
  Values sums = k.loop(first, end, 1, Values(slots * vectors, k.splat(0)), [&](Value block, ValueRange carried) {
    return valuePage(block, column, slots, vectors, Values(carried));
  });
  Value place = k.at(out, k.mul(column, 4));
  for (int64_t slot = 0; slot < slots; ++slot) {
    Value total, segmentPart;
    if (!apart) {
      total = k.broadcast(k.loadF32(k.at(ofTotal, 4 * slot)));
      segmentPart = k.broadcast(k.loadF32(k.at(ofSegment, 4 * slot)));
    }
    for (int64_t i = 0; i < vectors; ++i) {
      Value there = k.at(place, 4 * kLanes * i), sum = sums[slot * vectors + i];
      if (!apart) sum = k.fma(sum, segmentPart, k.mulf(k.loadVec(there), total));
      k.store(sum, there);
    }
    place = k.at(place, k.mul(cache.valuePad, 4));
  }
}

} // namespace llmc::cpu
