// The linear on int8 inputs: an exact int32 dot in each weight group, an fma chain over the weight scales of the groups
// that share an activation scale (a part), an fma chain over the activation scales of these. An affine scheme's offset
// times the sum of the group's inputs is added to the dot, exactly, before the scale.
#include "codegen/cpu/Dot.h"
#include "codegen/cpu/kinds/LinearInt8.h"
#include "codegen/cpu/kinds/LinearTiles.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kRegisterSums = 8; // vectors of parts, and as many of sums, that stay in registers beside the dots

class Int8Linear : public TiledLinear {
public:
  Int8Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs)
      : TiledLinear(k, config, d, outputs, k.mul(d.chunks, config.scheme->chunk_bytes())), scheme(*config.scheme),
        lanes(GroupDot::lanes(k.tier)), strips(kLanes / lanes) {}

  // All rows on matrix tiles: they are taken as many as share a weight's, then all items.
  void emitOnTiles() {
    TileProducts products(k, scheme, d.chunks, d.scales, k.at(k.scratch(), scratchBytes()));
    auto together = [&](Value first, int64_t tiles) {
      RowTile all{first, k.min(k.sub(d.n, first), k.i64(tiles * kTileRows)), {}, {}, {}};
      k.loop(k.i64(0), k.i64(tiles), 1, [&](Value number) {
        Value row = k.add(first, k.mul(number, kTileRows)), count = k.min(k.sub(d.n, row), k.i64(kTileRows));
        RowTile tile = tileAt(row, count);
        products.copyRows(number, {count, tile.inputs, tile.corr, tile.scale});
      });
      k.loop(k.begin(), k.end(), 1, [&](Value item) {
        itemOf(item, all, [&](Value unit) {
          k.loop(k.i64(0), k.i64(config.blocksPerUnit()), 1, [&](Value block) {
            products.sums(weightsOf(unit, block), tiles, saved(k.i64(0), block));
          });
          finishRows(unit, all, k.i64(0), all.rows);
        });
      });
    };
    constexpr int64_t most = TileProducts::kTogether * kTileRows;
    Value many = k.mul(k.div(k.add(d.n, kTileRows - 1), most), most); // the last of their tiles may not be whole
    k.loop(k.i64(0), many, most, [&](Value first) { together(first, TileProducts::kTogether); });
    k.loop(many, d.n, kTileRows, [&](Value first) { together(first, 1); });
  }

private:
  const Scheme &scheme;
  int64_t lanes, strips; // a row block's outputs in vectors of the tier

  // Where a run of rows of a tile meets a row block.
  struct Run {
    Value block;
    const RowTile &tile;
    Value t;
    int64_t count;
  };
  struct Strips {
    int64_t first, count;
  };

  RowTile tileAt(Value first, Value rows) override {
    Value kp = k.mul(d.chunks, scheme.columns_per_chunk());
    return {first, rows, k.at(d.x, k.mul(first, kp)), k.at(d.corr, k.mul(k.mul(first, d.chunks), 8)),
            k.at(d.scale, k.mul(k.mul(first, d.scales), 4))};
  }

  // The int32 or f32 values of the run's rows at `index` of a [..][rows] array.
  Values rowValues(Type element, Value base, Value index, const Run &run) {
    Value start = k.at(base, k.mul(k.add(k.mul(index, run.tile.rows), run.t), 4));
    Values values;
    for (int64_t i = 0; i < run.count; ++i) values.push_back(k.load(element, k.at(start, 4 * i)));
    return values;
  }

  VectorType floats() { return k.vec(k.f32Type(), lanes); }
  Values zeros(int64_t count) {
    Value zero = arith::ConstantOp::create(k.b, DenseElementsAttr::get(floats(), 0.0f));
    return Values(count, zero);
  }
  int64_t linesPerStep() const { return scheme.bits / 4; } // of eight columns
  int64_t linesPerGroup() const { return scheme.group / GroupDot::kStepColumns * linesPerStep(); }
  Value chunkOf(Value block, Value group) { return k.at(block, k.mul(k.div(group, 2), scheme.chunk_bytes())); }

  using States = llvm::SmallVector<Values>; // of some strips, alike in size

  // Calls body(index, states) for [first, last): a loop that carries the states, unless it is once.
  void repeat(int64_t first, int64_t last, States &states, llvm::function_ref<void(Value, States &)> body) {
    if (last - first == 1) body(k.i64(first), states);
    if (last - first <= 1) return;
    size_t width = states.front().size();
    Values flat;
    for (Values &state : states) llvm::append_range(flat, state);
    flat = k.loop(k.i64(first), k.i64(last), 1, flat, [&](Value index, ValueRange carried) {
      States inside;
      for (size_t i = 0; i < states.size(); ++i) inside.push_back(Values(carried.slice(i * width, width)));
      body(index, inside);
      Values next;
      for (Values &state : inside) llvm::append_range(next, state);
      return next;
    });
    for (auto [i, state] : llvm::enumerate(states)) state = Values(llvm::ArrayRef(flat).slice(i * width, width));
  }

  // As many columns of some strips as are unrolled together: the strips of eight columns one after the other, so that
  // they share the inputs.
  void addColumns(GroupDot &dot, States &states, Value lines, GroupDot::Inputs inputs, Strips which) {
    for (int64_t step = 0; step < dot.columnsTogether() / GroupDot::kStepColumns; ++step) {
      Value line = k.at(lines, step * linesPerStep() * 64);
      if (prefetches(k.tier, dot.rowCount()) && which.first == 0)
        for (int64_t i = 0; i < linesPerStep(); ++i) k.prefetchL2(k.at(line, prefetchAhead(k.tier) + 64 * i));
      for (auto [i, state] : llvm::enumerate(states))
        dot.add(state, k.at(line, (which.first + int64_t(i)) * lanes * 4), inputs);
      inputs.at = k.at(inputs.at, k.mul(inputs.step, 2));
    }
  }

  // The dots of weight group `group`, as f32: strip by strip, row by row.
  Values groupDots(const Run &run, Value group, Strips which) {
    auto dot = GroupDot::create(k, scheme, run.count);
    // Of an affine scheme the dots are those of the stored weights: addScaled() has the rest.
    auto load = [&] { return scheme.affine ? Values(run.count, k.i32(0)) : corrections(run, group); };
    Values corr = dot->hasFewRegisters() ? Values() : load(), result;
    States states(which.count, dot->begin(corr));
    Value quadBytes = k.mul(run.tile.rows, 4);
    Value lines = k.at(chunkOf(run.block, group), k.add(k.mul(k.rem(group, 2), linesPerGroup() * 64), 64));
    Value x = k.at(run.tile.inputs, k.add(k.mul(k.mul(group, scheme.group / 4), quadBytes), k.mul(run.t, 4)));
    int64_t columns = dot->columnsTogether(), pieces = GroupDot::kNarrowColumns / columns;
    repeat(0, scheme.group / GroupDot::kNarrowColumns, states, [&](Value index, States &states) {
      for (Values &state : states) dot->narrow(state);
      auto add = [&](Value piece, States &states) {
        Value number = k.add(k.mul(index, pieces), piece), steps = k.mul(number, columns / GroupDot::kStepColumns);
        GroupDot::Inputs inputs{k.at(x, k.mul(k.mul(steps, 2), quadBytes)), quadBytes};
        addColumns(*dot, states, k.at(lines, k.mul(steps, linesPerStep() * 64)), inputs, which);
      };
      // Apart, what is added to sums that begin at zero costs nothing.
      bool apart = dot->hasFewRegisters();
      if (apart) add(k.i64(0), states);
      repeat(apart, pieces, states, add);
      for (Values &state : states) dot->widen(state);
    });
    if (dot->hasFewRegisters()) corr = load(); // loaded where it is added, it takes no register
    for (Values &state : states)
      for (Value sum : dot->finish(state, corr)) result.push_back(arith::SIToFPOp::create(k.b, floats(), sum));
    return result;
  }

  // Weight scales of a strip.
  GroupScale scalesOf(const Run &run, Value group, int64_t strip) {
    Value at = k.at(chunkOf(run.block, group), k.add(k.mul(k.rem(group, 2), 2 * kLanes), strip * lanes * 2));
    if (prefetches(k.tier, run.count) && strip == 0)
      k.prefetchL2(k.at(chunkOf(run.block, group), prefetchAhead(k.tier)));
    return loadGroupScales(k, scheme, at, lanes, int8Offset(scheme));
  }

  Values corrections(const Run &run, Value group) { return rowValues(k.i32Type(), run.tile.corr, group, run); }

  // part + scale x dot, of row `row` of the run; `corr`: the rows' corrections where the scheme is affine.
  Value addScaled(const GroupScale &scales, Value dot, const Values &corr, int64_t row, Value part) {
    if (scales.offset) {
      Value sum = arith::SIToFPOp::create(k.b, floats(), k.broadcast(corr[row], lanes));
      dot = k.fma(scales.offset, sum, dot);
    }
    return k.fma(dot, scales.scale, part);
  }

  // Calls body(activation scale's number, its first group, the group after its last) for each.
  Values forScales(ValueRange initial, llvm::function_ref<Values(Value, Value, Value, ValueRange)> body) {
    int64_t groupsPerScale = kScaleColumns / scheme.group;
    Value groups = k.mul(d.chunks, 2);
    return k.loop(k.i64(0), d.scales, 1, initial, [&](Value scale, ValueRange carried) {
      Value first = k.mul(scale, groupsPerScale);
      return body(scale, first, k.min(k.add(first, groupsPerScale), groups), carried);
    });
  }

  Value place(Value base, int64_t strip, int64_t row) { return k.at(base, 64 * row + strip * lanes * 4); }

  // The sums over the groups [first, last), which share an activation scale: strip by strip, row by row.
  Values partsOf(const Run &run, Value first, Value last, Strips which) {
    // One group an iteration: two side by side would need twice the registers.
    return k.loop(first, last, 1, zeros(which.count * run.count), [&](Value group, ValueRange carried) {
      Values dots = groupDots(run, group, which), next;
      Values corr = scheme.affine ? corrections(run, group) : Values();
      for (int64_t strip = 0; strip < which.count; ++strip) {
        GroupScale scales = scalesOf(run, group, which.first + strip);
        for (int64_t i = strip * run.count; i < (strip + 1) * run.count; ++i)
          next.push_back(addScaled(scales, dots[i], corr, i % run.count, carried[i]));
      }
      return next;
    });
  }

  void inRegisters(const Run &run, Value out) {
    int64_t vectors = strips * run.count;
    Values sums = forScales(zeros(vectors), [&](Value scale, Value first, Value last, ValueRange carried) {
      Values parts = partsOf(run, first, last, {0, strips});
      Values factors = rowValues(k.f32Type(), run.tile.scale, scale, run), next;
      for (int64_t i = 0; i < vectors; ++i)
        next.push_back(k.fma(parts[i], k.broadcast(factors[i % run.count], lanes), carried[i]));
      return next;
    });
    for (int64_t i = 0; i < vectors; ++i) k.store(sums[i], place(out, i / run.count, i % run.count), 4 * lanes);
  }

  // The sums lie in the scratch, and the parts are of one strip after the other: the registers are for the dots.
  void inMemory(const Run &run, Value out) {
    Value zero = k.splat(0);
    for (int64_t row = 0; row < run.count; ++row) k.store(zero, k.at(out, 64 * row), 64);
    forScales({}, [&](Value scale, Value first, Value last, ValueRange) {
      for (int64_t strip = 0; strip < strips; ++strip) {
        Values parts = partsOf(run, first, last, {strip, 1});
        for (auto [row, factor] : llvm::enumerate(rowValues(k.f32Type(), run.tile.scale, scale, run))) {
          Value at = place(out, strip, int64_t(row)), sum = k.load(floats(), at, 4 * lanes);
          k.store(k.fma(parts[row], k.broadcast(factor, lanes), sum), at, 4 * lanes);
        }
      }
      return Values{};
    });
  }

  void dots(Value block, const RowTile &tile, Value t, int64_t count, Value out) override {
    Run run{block, tile, t, count};
    strips * count > kRegisterSums ? inMemory(run, out) : inRegisters(run, out);
  }
};

} // namespace

LinearScratch int8Scratch(const LinearConfig &config, const codegen::CpuTier &tier) {
  int64_t sums = TiledLinear::scratchBytes(config, tier);
  if (!TileProducts::areThere(tier)) return {sums};
  return {sums + TileProducts::kScratchBytes, TileProducts::scratchPerChunk(*config.scheme)};
}

void emitInt8Linear(KernelBuilder &k, const LinearConfig &config, const LinearDispatch &d, LinearOutputs &outputs,
                    const VariantInfo &variant) {
  Int8Linear linear(k, config, d, outputs);
  bool tiles = TileProducts::areThere(k.tier) && variant.firstRows >= TileProducts::kFirstRows;
  tiles ? linear.emitOnTiles() : linear.emit(variant);
}

} // namespace llmc::cpu
