// The linear on int8 inputs: an exact int32 dot in each weight group, an fma chain over the weight scales of the groups
// that share an activation scale, an fma chain over those. One vector of outputs by up to 8 rows of the step: their dots, parts and sums fill the registers.
#include "codegen/cpu/Dot.h"
#include "codegen/cpu/kinds/Linear.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kTileRows = 16;
constexpr int64_t kScaleColumns = 128;
constexpr int64_t kPanelBytes = 384 << 10; // of weights that stay in L2 while the tiles of rows pass
constexpr int64_t kPrefetchAhead = 8 << 10;

struct Int8Linear {
  KernelBuilder &k;
  const LinearConfig &config;
  const LinearDispatch &d;
  const Scheme &scheme;
  Value blockBytes;

  // The tile at hand
  struct Tile {
    Value first;   // its first row of the step
    Value rows;    // 1 to 16; a constant wherever it can be
    Value q, corr, scale;
  };

  Tile tileAt(Value first, Value rows) {
    Value kp = k.mul(d.chunks, scheme.columnsPerChunk());
    return {first, rows, k.at(d.x, k.mul(first, kp)), k.at(d.corr, k.mul(k.mul(first, d.chunks), 8)),
            k.at(d.scale, k.mul(k.mul(first, d.scales), 4))};
  }

  // The `count` int32 or f32 values of rows [t, t + count) at `index` of a [..][rows] array, broadcast.
  Values splats(Type element, Value base, Value index, const Tile &tile, Value t, int64_t count) {
    Value start = k.at(base, k.mul(k.add(k.mul(index, tile.rows), t), 4));
    Values values;
    for (int64_t i = 0; i < count; ++i) values.push_back(k.broadcast(k.load(element, k.at(start, 4 * i))));
    return values;
  }

  int64_t linesPerGroup() const { return scheme.group * scheme.bits / 32; }
  int64_t quadsPerLine() const { return scheme.bits == 4 ? 2 : 1; }

  // One line of 64 weight bytes against its one or two quads of columns.
  void line(GroupDot &dot, llvm::SmallVector<GroupDot::State> &states, Value pointer, Value x, Value quadBytes) {
    auto &b = k.b;
    if (states.size() > 2) k.prefetchL2(k.at(pointer, kPrefetchAhead));
    Value words = k.load(k.vec(k.i32Type()), pointer, 64);
    for (int64_t quad = 0; quad < quadsPerLine(); ++quad) {
      Value chosen = words;
      if (scheme.bits == 4) {
        if (quad == 1) chosen = arith::ShRUIOp::create(b, chosen, k.splatInt(4));
        chosen = arith::AndIOp::create(b, chosen, k.splatInt(0x0f0f0f0f));
      }
      Value weights = dot.prepare(vector::BitCastOp::create(b, k.vec(k.i8Type(), 64), chosen));
      Value at = k.at(x, k.mul(quadBytes, quad));
      for (auto [i, state] : llvm::enumerate(states)) dot.dot(state, weights, k.load(k.i32Type(), k.at(at, 4 * i)));
    }
  }

  // Weight group `index` of a row block: parts += scale x dot.
  Values group(Value block, Value index, const Tile &tile, Value t, ValueRange parts) {
    auto &b = k.b;
    GroupDot dot(k, scheme);
    Value half = k.rem(index, 2);
    Value chunk = k.at(block, k.mul(k.div(index, 2), scheme.chunkBytes()));
    llvm::SmallVector<GroupDot::State> states;
    for (Value corrected : splats(k.i32Type(), tile.corr, index, tile, t, parts.size()))
      states.push_back(dot.begin(corrected));
    Value quadBytes = k.mul(tile.rows, 4);
    Value lines = k.at(chunk, k.add(k.mul(half, linesPerGroup() * 64), 64));
    Value x = k.at(tile.q, k.add(k.mul(k.mul(index, scheme.group / 4), quadBytes), k.mul(t, 4)));
    auto emitLines = [&](Value first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        Value number = k.add(first, i);
        line(dot, states, k.at(lines, k.mul(number, 64)), k.at(x, k.mul(k.mul(number, quadsPerLine()), quadBytes)),
             quadBytes);
      }
    };
    int64_t unrolled = std::min<int64_t>(linesPerGroup(), dot.linesTogether());
    if (linesPerGroup() == unrolled) {
      emitLines(k.i64(0), linesPerGroup());
    } else {
      size_t width = states.front().size();
      Values flat;
      for (auto &state : states) llvm::append_range(flat, state);
      flat = k.loop(k.i64(0), k.i64(linesPerGroup()), unrolled, flat, [&](Value first, ValueRange carried) {
        for (auto [i, state] : llvm::enumerate(states))
          state = GroupDot::State(carried.slice(i * width, width));
        emitLines(first, unrolled);
        Values next;
        for (auto &state : states) llvm::append_range(next, state);
        return next;
      });
      for (auto [i, state] : llvm::enumerate(states))
        state = GroupDot::State(llvm::ArrayRef<Value>(flat).slice(i * width, width));
    }
    if (parts.size() > 2) k.prefetchL2(k.at(chunk, kPrefetchAhead));
    Value scales = k.loadElements("f16", k.at(chunk, k.mul(half, 2 * kLanes)));
    Values next;
    for (auto [state, part] : llvm::zip(states, parts))
      next.push_back(k.fma(arith::SIToFPOp::create(b, k.f32Vec(), dot.finish(state)), scales, part));
    return next;
  }

  Values zeros(int64_t count) { return Values(count, k.splat(0)); }

  // Where row `row`'s sums of the item's block `block` wait for the epilogue.
  Value saved(Value row, int64_t block) {
    return k.at(k.scratch(), k.add(k.mul(row, 64), block * 64 * kTileRows));
  }

  // The dot products of one row block with `count` rows of the tile.
  Values dots(Value block, const Tile &tile, Value t, int64_t count) {
    int64_t groupsPerScale = kScaleColumns / scheme.group;
    Value groups = k.mul(d.chunks, 2);
    return k.loop(k.i64(0), d.scales, 1, zeros(count), [&](Value a, ValueRange sums) {
      Value first = k.mul(a, groupsPerScale), last = k.min(k.add(first, groupsPerScale), groups);
      // One group an iteration: two side by side would need twice the registers.
      Values parts = k.loop(first, last, 1, zeros(count), [&](Value g, ValueRange carried) {
        return group(block, g, tile, t, carried);
      });
      Values factors = splats(k.f32Type(), tile.scale, a, tile, t, count), next;
      for (auto [part, factor, sum] : llvm::zip(parts, factors, sums)) next.push_back(k.fma(part, factor, sum));
      return next;
    });
  }

  // Rows [t, t + count) of the tile for one item. The epilogue's code exists once, not once a row.
  void rowsOf(Value item, const Tile &tile, Value t, int64_t count) {
    for (int64_t i = 0; i < config.blocksPerItem(); ++i) {
      Value block = k.add(k.mul(item, config.blocksPerItem()), i);
      Values sums = dots(k.at(d.weight, k.mul(block, blockBytes)), tile, t, count);
      for (auto [row, sum] : llvm::enumerate(sums)) k.store(sum, saved(k.i64(row), i), 64);
    }
    k.loop(k.i64(0), k.i64(count), 1, [&](Value row) {
      Values own;
      for (int64_t i = 0; i < config.blocksPerItem(); ++i) own.push_back(k.load(k.f32Vec(), saved(row, i), 64));
      finishLinear(k, config, d, item, k.add(k.add(tile.first, t), row), own);
    });
  }

  // A tile's rows in runs of `width`, and the rest at once: each run reads all of the item's weights.
  void tileOf(Value item, const Tile &tile, int64_t width) {
    Value whole = k.mul(k.div(tile.rows, width), width), rest = k.sub(tile.rows, whole);
    k.loop(k.i64(0), whole, width, [&](Value t) { rowsOf(item, tile, t, width); });
    for (int64_t count = 1; count < width; ++count)
      k.ifThen(arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, rest, k.i64(count)),
               [&] { rowsOf(item, tile, whole, count); });
  }
};

} // namespace

void emitInt8Linear(KernelBuilder &k, const LinearConfig &config, const VariantInfo &variant) {
  LinearDispatch d(k, config);
  const Scheme &scheme = *config.scheme;
  Int8Linear linear{k, config, d, scheme, k.mul(d.chunks, scheme.chunkBytes())};

  if (variant.lastRows < kTileRows) { // one tile
    bool known = variant.lastRows <= 1 || variant.firstRows == variant.lastRows;
    k.loop(k.begin(), k.end(), 1, [&](Value item) {
      if (!known) return linear.tileOf(item, linear.tileAt(k.i64(0), d.n), variant.width);
      for (int64_t t = 0; t < variant.lastRows; t += variant.width)
        linear.rowsOf(item, linear.tileAt(k.i64(0), k.i64(variant.lastRows)), k.i64(t),
                      std::min<int64_t>(variant.width, variant.lastRows - t));
    });
    return;
  }
  Value itemBytes = k.max(k.mul(linear.blockBytes, config.blocksPerItem()), k.i64(1));
  Value panel = k.max(k.div(k.i64(kPanelBytes), itemBytes), k.i64(1));
  Value panels = k.div(k.sub(k.add(k.sub(k.end(), k.begin()), panel), k.i64(1)), panel);
  Value whole = k.mul(k.div(d.n, kTileRows), kTileRows);
  k.loop(k.i64(0), panels, 1, [&](Value p) {
    Value first = k.add(k.begin(), k.mul(p, panel));
    Value last = k.min(k.add(first, panel), k.end());
    k.loop(k.i64(0), whole, kTileRows, [&](Value row) {
      Int8Linear::Tile tile = linear.tileAt(row, k.i64(kTileRows));
      k.loop(first, last, 1, [&](Value item) {
        k.loop(k.i64(0), k.i64(kTileRows), variant.width,
               [&](Value t) { linear.rowsOf(item, tile, t, variant.width); });
      });
    });
    k.loop(whole, d.n, kTileRows, [&](Value row) {
      Int8Linear::Tile tile = linear.tileAt(row, k.sub(d.n, row));
      k.loop(first, last, 1, [&](Value item) { linear.tileOf(item, tile, variant.width); });
    });
  });
}

} // namespace llmc::cpu
