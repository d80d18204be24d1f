#include "codegen/cpu/kinds/TileProducts.h"

#include "codegen/cpu/kinds/GroupScale.h"
#include "codegen/cpu/kinds/LinearInt8.h"
#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kTileBytes = 1024, kTileColumns = 64; // of A: 16 rows
constexpr int64_t kRowsUnrolled = 4;                    // of C, where it is scaled

// LLVM's tiles: it allocates the registers, configures them at the kernel's entry and releases them at its end.
class Tiles {
public:
  explicit Tiles(KernelBuilder &k) : k(k), tile(LLVM::LLVMX86AMXType::get(k.b.getContext())) {}

  Value zero() { return k.intrinsic("llvm.x86.tilezero.internal", tile, {count(kLanes), count(64)}); }
  // `rows` of `bytes`, 64 apart.
  Value load(Value pointer, int64_t rows, int64_t bytes) {
    return k.intrinsic("llvm.x86.tileloadd64.internal", tile, {count(rows), count(bytes), pointer, k.i64(64)});
  }
  // c + a b, over `columns` signed bytes.
  Value multiply(Value c, Value a, Value b, int64_t columns) {
    return k.intrinsic("llvm.x86.tdpbssd.internal", tile, {count(kLanes), count(64), count(columns), c, a, b});
  }
  void store(Value c, Value pointer) {
    LLVM::CallIntrinsicOp::create(k.b, k.b.getStringAttr("llvm.x86.tilestored64.internal"),
                                  ValueRange{count(kLanes), count(64), pointer, k.i64(64), c});
  }

private:
  Value count(int64_t value) { return arith::ConstantOp::create(k.b, k.b.getI16IntegerAttr(int16_t(value))); }
  KernelBuilder &k;
  Type tile;
};

// 16 vectors of 16 words: word j of vector i becomes word i of vector j. Blocks of 8, 4, 2 and 1 change places.
void transpose(KernelBuilder &k, Values &rows) {
  for (int64_t size = kLanes / 2; size >= 1; size /= 2)
    for (int64_t i = 0; i < kLanes; ++i) {
      if (i & size) continue;
      llvm::SmallVector<int64_t> low, high; // of the pair's words; the second's come after the first's
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        low.push_back(lane & size ? kLanes + lane - size : lane);
        high.push_back(lane & size ? kLanes + lane : lane + size);
      }
      Value first = rows[i], second = rows[i + size];
      rows[i] = vector::ShuffleOp::create(k.b, first, second, low);
      rows[i + size] = vector::ShuffleOp::create(k.b, first, second, high);
    }
}

} // namespace

bool TileProducts::areThere(const codegen::CpuTier &tier) { return tier.features & LLMRT_FEATURE_AMX_INT8; }

// A run's scales are a line; a chunk may be half a run.
int64_t TileProducts::scaleBytesPerChunk(const Scheme &scheme) {
  return 64 * std::max<int64_t>(scheme.columns_per_chunk() / kScaleColumns, 1);
}
int64_t TileProducts::copyBytesPerChunk(const Scheme &scheme) {
  return kLanes * scheme.columns_per_chunk() + scaleBytesPerChunk(scheme) + (scheme.affine ? 2 * 64 : 0);
}
int64_t TileProducts::scratchPerChunk(const Scheme &scheme) { return kTogether * copyBytesPerChunk(scheme); }

TileProducts::TileProducts(KernelBuilder &k, const Scheme &scheme, Value chunks, Value scales, Value scratch)
    : k(k), scheme(scheme), chunks(chunks), scales(scales), ints(scratch),
      weights(k.at(scratch, kTogether * 4 * kTileBytes)), copies(k.at(scratch, kScratchBytes)),
      copyBytes(k.mul(chunks, copyBytesPerChunk(scheme))) {}

// Rows of four columns become rows of 64 bytes.
void TileProducts::copyColumns(const Rows &rows, Value copy) {
  Value pieces = k.mul(chunks, scheme.columns_per_chunk() / kTileColumns);
  auto whole = scf::IfOp::create(k.b, TypeRange{}, k.less(rows.count, k.i64(kLanes)), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(k.b);
  k.b.setInsertionPointToStart(whole.elseBlock());
  k.loop(k.i64(0), pieces, 1, [&](Value piece) {
    Value from = k.at(rows.q, k.mul(piece, kTileBytes)), to = k.at(copy, k.mul(piece, kTileBytes));
    Values lines;
    for (int64_t i = 0; i < kLanes; ++i) lines.push_back(k.load(k.vec(k.i32Type()), k.at(from, 64 * i), 4));
    transpose(k, lines);
    for (int64_t i = 0; i < kLanes; ++i) k.store(lines[i], k.at(to, 64 * i), 64);
  });
  k.b.setInsertionPointToStart(whole.thenBlock());
  Value rowBytes = k.mul(rows.count, 4);
  k.loop(k.i64(0), k.mul(pieces, kTileColumns / 4), 1, [&](Value quad) {
    Value from = k.at(rows.q, k.mul(quad, rowBytes));
    Value to = k.at(copy, k.add(k.mul(k.div(quad, kLanes), kTileBytes), k.mul(k.rem(quad, kLanes), 4)));
    k.loop(k.i64(0), rows.count, 1, [&](Value row) {
      k.store(k.load(k.i32Type(), k.at(from, k.mul(row, 4))), k.at(to, k.mul(row, 64)));
    });
  });
}

void TileProducts::copyNumbers(Value from, Value count, const Rows &rows, bool integers, Value to) {
  k.loop(k.i64(0), count, 1, [&](Value i) {
    Value line = k.at(from, k.mul(k.mul(i, rows.count), 4)), own = k.at(to, k.mul(i, 64));
    k.loop(k.i64(0), rows.count, 1, [&](Value row) {
      Value at = k.mul(row, 4), number = k.load(integers ? k.i32Type() : k.f32Type(), k.at(line, at));
      if (integers) number = arith::SIToFPOp::create(k.b, k.f32Type(), number);
      k.store(number, k.at(own, at));
    });
  });
}

void TileProducts::copyRows(Value number, const Rows &rows) {
  Value copy = copyOf(number);
  copyColumns(rows, copy);
  copyNumbers(rows.scale, scales, rows, /*integers=*/false, scalesOf(copy));
  if (scheme.affine) copyNumbers(rows.corr, k.mul(chunks, 2), rows, /*integers=*/true, correctionsOf(copy));
}

// The chunk of weight group `number`, and which half of it that is.
Value TileProducts::groupOf(Value block, Value number, Value &half) {
  half = k.rem(number, 2);
  return k.at(block, k.mul(k.div(number, 2), scheme.chunk_bytes()));
}

// The weights of the run of columns `index`, as B: signed, but for those of an affine scheme, which are as stored.
void TileProducts::unpack(Value block, Value index, int64_t groups) {
  auto &b = k.b;
  VectorType bytes = k.vec(k.i8Type(), 4 * kLanes);
  Value nibbles = k.splatInt(0x0f0f0f0f), four = k.splatInt(4), flip = k.splatInt(int32_t(0x80808080));
  Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(bytes, int8_t(wide() ? 0 : scheme.zero)));
  Value there = weightsOf(index);
  int64_t place = 0, lines = scheme.group * scheme.bits / 32;
  auto put = [&](Value quads) {
    if (!wide() && !scheme.affine) quads = arith::SubIOp::create(b, vector::BitCastOp::create(b, bytes, quads), zero);
    k.store(quads, k.at(there, place), 64);
    place += 64;
  };
  for (int64_t group = 0; group < groups; ++group) {
    Value half, chunk = groupOf(block, k.add(k.mul(index, kScaleColumns / scheme.group), group), half);
    Value own = k.at(chunk, k.add(k.mul(half, 64 * lines), 64));
    for (int64_t line = 0; line < lines; ++line) {
      Value at = k.at(own, 64 * line), stored = k.load(k.vec(k.i32Type()), at, 64);
      k.prefetchL2(k.at(at, prefetchAhead(k.tier)));
      if (wide()) {
        put(arith::XOrIOp::create(b, stored, flip)); // u - 128
      } else {
        put(arith::AndIOp::create(b, stored, nibbles));
        put(arith::AndIOp::create(b, arith::ShRUIOp::create(b, stored, four), nibbles));
      }
    }
  }
}

// The dots of each group of the run with each tile of rows, 1 KB each, to `ints`.
void TileProducts::multiply(Value index, int64_t groups, int64_t tiles) {
  Tiles amx(k);
  int64_t columns = std::min<int64_t>(scheme.group, kTileColumns); // of a product
  Value there = weightsOf(index), run = k.mul(index, kScaleColumns * kLanes);
  Values rows;
  for (int64_t t = 0; t < tiles; ++t) rows.push_back(k.at(copyOf(k.i64(t)), run));
  for (int64_t group = 0; group < groups; ++group) {
    Values dots;
    for (int64_t t = 0; t < tiles; ++t) dots.push_back(amx.zero());
    for (int64_t first = group * scheme.group; first < (group + 1) * scheme.group; first += columns) {
      Value b = amx.load(k.at(there, first * kLanes), columns / 4, 64);
      int64_t at = first / kTileColumns * kTileBytes + first % kTileColumns;
      for (auto [dot, own] : llvm::zip(dots, rows))
        dot = amx.multiply(dot, amx.load(k.at(own, at), kLanes, columns), b, columns);
    }
    for (auto [t, dot] : llvm::enumerate(dots)) amx.store(dot, k.at(ints, (4 * int64_t(t) + group) * kTileBytes));
  }
}

// out + the run's dots, scaled.
void TileProducts::addRun(Value block, Value index, int64_t groups, int64_t tiles, Value out) {
  Value firstGroup = k.mul(index, kScaleColumns / scheme.group);
  llvm::SmallVector<GroupScale> own;
  for (int64_t group = 0; group < groups; ++group) {
    Value half, chunk = groupOf(block, k.add(firstGroup, group), half);
    own.push_back(loadGroupScales(k, scheme, k.at(chunk, k.mul(half, 2 * kLanes)), kLanes, int8Offset(scheme)));
  }
  Values factors, corrections;
  for (int64_t t = 0; t < tiles; ++t) {
    Value copy = copyOf(k.i64(t));
    factors.push_back(k.at(scalesOf(copy), k.mul(index, 64)));
    corrections.push_back(k.at(correctionsOf(copy), k.mul(firstGroup, 64)));
  }
  k.loop(k.i64(0), k.i64(kLanes), kRowsUnrolled, [&](Value firstRow) {
    for (int64_t i = 0; i < kRowsUnrolled * tiles; ++i) {
      int64_t t = i % tiles;
      Value row = k.add(firstRow, i / tiles), line = k.mul(row, 64), word = k.mul(row, 4), part = k.splat(0);
      for (int64_t group = 0; group < groups; ++group) {
        Value dot = k.load(k.vec(k.i32Type()), k.at(ints, k.add(line, (4 * t + group) * kTileBytes)), 64);
        dot = arith::SIToFPOp::create(k.b, k.f32Vec(), dot);
        if (own[group].offset) {
          Value correction = k.loadF32(k.at(corrections[t], k.add(word, 64 * group)));
          dot = k.fma(own[group].offset, k.broadcast(correction), dot);
        }
        part = k.fma(dot, own[group].scale, part);
      }
      Value total = k.at(out, k.add(line, t * kTileBytes));
      Value factor = k.broadcast(k.loadF32(k.at(factors[t], word)));
      k.store(k.fma(part, factor, k.load(k.f32Vec(), total, 64)), total, 64);
    }
  });
}

// While a run's dots come out of the tiles, the next one's weights are unpacked: neither waits for what was just stored.
void TileProducts::sums(Value block, int64_t tiles, Value out) {
  for (int64_t row = 0; row < tiles * kLanes; ++row) k.store(k.splat(0), k.at(out, 64 * row), 64);
  int64_t perRun = kScaleColumns / scheme.group;
  Value groups = k.mul(chunks, 2), whole = k.div(groups, perRun), last = k.sub(whole, k.i64(1));
  k.ifThen(k.less(k.i64(0), whole), [&] { unpack(block, k.i64(0), perRun); });
  k.loop(k.i64(0), whole, 1, [&](Value index) {
    multiply(index, perRun, tiles);
    unpack(block, k.min(k.add(index, 1), last), perRun);
    addRun(block, index, perRun, tiles, out);
  });
  if (perRun <= 2) return;
  k.ifThen(k.less(k.mul(whole, perRun), groups), [&] { // chunks may end in half a run
    unpack(block, whole, 2);
    multiply(whole, 2, tiles);
    addRun(block, whole, 2, tiles, out);
  });
}

} // namespace llmc::cpu
