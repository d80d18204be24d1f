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

int64_t TileProducts::preparedBytesPerChunk(const Scheme &scheme) {
  return kLanes * scheme.columns_per_chunk() + 2 * (scheme.affine ? 128 : 64);
}

Value TileProducts::scalesOf(Value prepared) {
  return k.at(prepared, k.mul(chunks, kLanes * scheme.columns_per_chunk()));
}

// 64 columns of the 16 outputs: vector i has columns 4i to 4i + 3 of each, as they are multiplied.
Values TileProducts::loadQuads(Value lines) {
  auto &b = k.b;
  Values quads;
  auto load = [&](int64_t line) { return k.load(k.vec(k.i32Type()), k.at(lines, 64 * line), 64); };
  Value nibbles = k.splatInt(0x0f0f0f0f), four = k.splatInt(4), sign = k.splatInt(int32_t(0x80808080));
  if (wide()) { // u - 128
    for (int64_t line = 0; line < kLanes; ++line) quads.push_back(arith::XOrIOp::create(b, load(line), sign));
    return quads;
  }
  for (int64_t line = 0; line < kLanes / 2; ++line) {
    Value both = load(line);
    quads.push_back(arith::AndIOp::create(b, both, nibbles));
    quads.push_back(arith::AndIOp::create(b, arith::ShRUIOp::create(b, both, four), nibbles));
  }
  if (scheme.affine) return quads;
  VectorType bytes = k.vec(k.i8Type(), 4 * kLanes);
  Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(bytes, int8_t(scheme.zero)));
  for (Value &quad : quads) {
    Value weights = arith::SubIOp::create(b, vector::BitCastOp::create(b, bytes, quad), zero);
    quad = vector::BitCastOp::create(b, k.vec(k.i32Type()), weights);
  }
  return quads;
}

void TileProducts::prepare(Value block, Value prepared) {
  int64_t tilesPerChunk = scheme.columns_per_chunk() / kTileColumns, lineBytes = kTileBytes * scheme.bits / 8;
  Value scales = scalesOf(prepared);
  k.loop(k.i64(0), chunks, 1, [&](Value chunk) {
    Value source = k.at(block, k.mul(chunk, scheme.chunk_bytes()));
    for (int64_t group = 0; group < 2; ++group) {
      GroupScale own = loadGroupScales(k, scheme, k.at(source, group * 2 * kLanes), kLanes, int8Offset(scheme));
      Value there = k.at(scales, k.mul(k.add(k.mul(chunk, 2), group), scaleBytes()));
      k.store(own.scale, there, 64);
      if (own.offset) k.store(own.offset, k.at(there, 64), 64);
    }
    k.loop(k.i64(0), k.i64(tilesPerChunk), 1, [&](Value tile) {
      Values rows = loadQuads(k.at(source, k.add(k.mul(tile, lineBytes), 64)));
      transpose(k, rows);
      Value there = k.at(prepared, k.mul(k.add(k.mul(chunk, tilesPerChunk), tile), kTileBytes));
      for (int64_t row = 0; row < kLanes; ++row) k.store(rows[row], k.at(there, 64 * row), 64);
    });
  });
}

// The int32 dots of a group of a run, each tile's to its 1 KB of `ints`. `weights`, `inputs`: where the run begins.
void TileProducts::groupSums(Value weights, llvm::ArrayRef<Value> inputs, int64_t group) {
  Tiles tiles(k);
  int64_t columns = std::min<int64_t>(scheme.group, kTileColumns);
  Values dots;
  for (size_t i = 0; i < inputs.size(); ++i) dots.push_back(tiles.zero());
  for (int64_t first = group * scheme.group; first < (group + 1) * scheme.group; first += columns) {
    int64_t place = first / kTileColumns * kTileBytes + first % kTileColumns;
    Value a = tiles.load(k.at(weights, place), kLanes, columns);
    for (auto [dot, input] : llvm::zip(dots, inputs))
      dot = tiles.multiply(dot, a, tiles.load(k.at(input, first * kLanes), columns / 4, 64), columns);
  }
  for (auto [i, dot] : llvm::enumerate(dots))
    tiles.store(dot, k.at(ints, (group * kTogether + int64_t(i)) * kTileBytes));
}

// Totals + the first `groups` groups of the run of columns `index`, which has an activation scale.
void TileProducts::run(Value prepared, Value index, int64_t groups, llvm::ArrayRef<Rows> tiles) {
  auto &b = k.b;
  Value firstGroup = k.mul(index, kScaleColumns / scheme.group), columns = k.mul(index, kScaleColumns * kLanes);
  Values inputs, factors;
  for (const Rows &rows : tiles) {
    inputs.push_back(k.at(rows.q, columns));
    factors.push_back(k.loadVec(k.at(rows.scale, k.mul(index, 64))));
  }
  for (int64_t group = 0; group < groups; ++group) groupSums(k.at(prepared, columns), inputs, group);

  auto floats = [&](Value pointer) {
    return arith::SIToFPOp::create(b, k.f32Vec(), k.load(k.vec(k.i32Type()), pointer, 4));
  };
  Value scales = k.at(scalesOf(prepared), k.mul(firstGroup, scaleBytes()));
  Values corrections;
  for (int64_t group = 0; group < (scheme.affine ? groups : 0); ++group)
    for (const Rows &rows : tiles) corrections.push_back(floats(k.at(rows.corr, k.mul(k.add(firstGroup, group), 64))));
  k.loop(k.i64(0), k.i64(kLanes), kRowsUnrolled, [&](Value firstRow) {
    for (int64_t i = 0; i < kRowsUnrolled; ++i) {
      Value row = k.add(firstRow, i), line = k.mul(row, 64);
      Values parts(tiles.size(), k.splat(0));
      for (int64_t group = 0; group < groups; ++group) {
        Value at = k.at(scales, k.add(k.mul(row, 4), group * scaleBytes()));
        Value scale = k.broadcast(k.loadF32(at));
        Value offset = scheme.affine ? k.broadcast(k.loadF32(k.at(at, 64))) : Value();
        for (auto [t, part] : llvm::enumerate(parts)) {
          Value dot = floats(k.at(ints, k.add(line, (group * kTogether + int64_t(t)) * kTileBytes)));
          if (offset) dot = k.fma(offset, corrections[group * int64_t(tiles.size()) + int64_t(t)], dot);
          part = k.fma(dot, scale, part);
        }
      }
      for (auto [t, part] : llvm::enumerate(parts)) {
        Value total = k.at(totals, k.add(line, int64_t(t) * kTileBytes));
        k.store(k.fma(part, factors[t], k.load(k.f32Vec(), total, 64)), total, 64);
      }
    }
  });
}

void TileProducts::sums(Value prepared, llvm::ArrayRef<Rows> tiles, Value out) {
  int64_t lines = int64_t(tiles.size()) * kLanes;
  Value zero = k.splat(0);
  for (int64_t line = 0; line < lines; ++line) k.store(zero, k.at(totals, 64 * line), 64);
  int64_t groupsPerScale = kScaleColumns / scheme.group;
  Value groups = k.mul(chunks, 2), whole = k.div(groups, groupsPerScale);
  k.loop(k.i64(0), whole, 1, [&](Value index) { run(prepared, index, groupsPerScale, tiles); });
  if (groupsPerScale > 2) // whole chunks may end in half a run
    k.ifThen(k.less(k.mul(whole, groupsPerScale), groups), [&] { run(prepared, whole, 2, tiles); });
  k.loop(k.i64(0), k.i64(int64_t(tiles.size()) * kTileBytes), kTileBytes, [&](Value tile) {
    Value from = k.at(totals, tile), to = k.at(out, tile);
    Values rows;
    for (int64_t row = 0; row < kLanes; ++row) rows.push_back(k.load(k.f32Vec(), k.at(from, 64 * row), 64));
    transpose(k, rows);
    for (int64_t row = 0; row < kLanes; ++row) k.store(rows[row], k.at(to, 64 * row), 64);
  });
}

} // namespace llmc::cpu
