// linear_heads: the linear that makes a layer's query, key and value heads, with all that happens to them on the way to
// attention: head norm, rope, and the way into the pages. A work item is a head. Its outputs are put together in the
// scratch, a tile of rows at a time, and go on from there; so keys and values exist in the pages alone. Each number
// comes about as in the kinds linear, rope and cache_write, bit for bit.
#include "codegen/cpu/kinds/CacheWrite.h"
#include "codegen/cpu/kinds/Linear.h"
#include "codegen/cpu/kinds/Rope.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

// Scalars, after those of the linear. Heads are counted in row blocks of the weight, so a head is whole blocks.
enum HeadScalars {
  kHeads, kKvHeads, kKeyBlocks, kValueBlocks, kHalf, kHalfPad, kSequences, kTableBlocks, kPages, kHeadScalars
};

int scalarIndex(const LinearConfig &c, HeadScalars scalar) { return int(c.scalarCount()) + scalar; }

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  LinearConfig c = readLinearConfig(kernel);
  RopeConfig rope = RopeConfig::read(kernel, "rope");
  auto h = [&](HeadScalars scalar) { return s(scalarIndex(c, scalar)); };
  Expression n = s(kLinearRows), keyDim = Expression(kLanes) * h(kKeyBlocks);
  Expression valueDim = Expression(kLanes) * h(kValueBlocks);
  KernelInfo info;
  info.scalarCount = scalarIndex(c, kHeadScalars);
  info.items = h(kHeads) + Expression(2) * h(kKvHeads);
  info.grain = 1;
  describeLinear(c, kernel, tier, info);
  // The heads are the weight's blocks, all of them whole.
  Expression blocks = (h(kHeads) + h(kKvHeads)) * h(kKeyBlocks) + h(kKvHeads) * h(kValueBlocks);
  info.require(s(kLinearBlocks) - blocks);
  info.require(blocks - s(kLinearBlocks));
  info.require(s(kLinearOutputs) - Expression(kLanes) * s(kLinearBlocks));
  if (rope.turns()) info.reads(Expression(8) * n * h(kHalfPad));
  info.require(keyDim - Expression(2) * h(kHalf));
  info.require(h(kHalfPad) - h(kHalf));
  if (rope.norm) {
    info.reads(Expression(4) * keyDim);
    info.reads(Expression(4) * keyDim);
  }
  info.indices(n, Expression(kPageTokens) * h(kTableBlocks));
  info.indices(n, h(kSequences));
  info.indices(h(kSequences) * h(kTableBlocks), h(kPages));
  info.writes(poolBytes(configString(kernel, "cache"), h(kPages), h(kKvHeads), keyDim, valueDim), 64);
  info.writesRows(n, keyDim * h(kHeads), s(kLinearLdOut));
  // A tile's rows of a head, which is a key's or a value's size, and a key that has been turned.
  info.scratch = linearScratch(c, tier).bytes() + Expression(4 * rowsAtOnce(c, tier)) * (keyDim + valueDim) +
                 Expression(4) * keyDim;
  if (VariantInfo &most = info.variants.back(); most.ofTierAlone) most.grain = 2; // each piece copies all rows
  return info;
}

class Heads : public LinearOutputs {
public:
  Heads(KernelBuilder &k, exec::KernelOp kernel, const LinearConfig &config, const LinearDispatch &d)
      : k(k), config(config), d(d), ropeConfig(RopeConfig::read(kernel, "rope")), next(d.operands),
        heads(scalar(kHeads)), kvHeads(scalar(kKvHeads)), withKeys(k.add(heads, kvHeads)),
        keyBlocks(scalar(kKeyBlocks)), valueBlocks(scalar(kValueBlocks)), keyDim(k.mul(keyBlocks, kLanes)),
        valueDim(k.mul(valueBlocks, kLanes)), halfPad(scalar(kHalfPad)),
        table(ropeConfig.turns() ? operand() : Value()), queryNorm(ropeConfig.norm ? operand() : Value()),
        keyNorm(ropeConfig.norm ? operand() : Value()), positions(operand()), sequences(operand()),
        pageTable(operand()), pool(operand()), out(operand()), rope{k, ropeConfig, keyDim, scalar(kHalf)},
        cache(k, configString(kernel, "cache"), pageTable, pool, scalar(kTableBlocks), kvHeads, keyDim, valueDim),
        writer(k, cache, positions, sequences) {
    LinearScratch products = linearScratch(config, k.tier);
    tile = k.at(k.scratch(), k.add(k.mul(d.chunks, products.perChunk), products.fixed));
    turnedKey = k.at(tile, k.mul(k.add(keyDim, valueDim), 4 * rowsAtOnce(config, k.tier)));
  }

  Value mostUnits() override { return k.max(keyBlocks, valueBlocks); }

  void units(Value item, const KernelBuilder::Body &body) override {
    Value before = k.mul(k.min(item, withKeys), keyBlocks);
    firstUnit = k.add(before, k.mul(k.max(k.sub(item, withKeys), k.i64(0)), valueBlocks));
    headUnits = k.select(k.less(item, withKeys), keyBlocks, valueBlocks);
    k.loop(k.i64(0), headUnits, 1, [&](Value i) { body(k.add(firstUnit, i)); });
  }

  void take(Value unit, Value, Value row, Value outputs) override {
    k.store(outputs, k.at(headOf(row), k.mul(k.sub(unit, firstUnit), 4 * kLanes)), 64);
  }

  void finish(Value item, Value first, Value rows) override {
    Value isQuery = k.less(item, heads), isTurned = k.less(item, withKeys);
    k.loop(k.i64(0), rows, 1, [&](Value row) {
      Value stepRow = k.add(first, row), head = headOf(row);
      k.ifThen(isTurned, [&] {
        if (ropeConfig.norm) rope.normalize(head, k.select(isQuery, queryNorm, keyNorm));
        Angles angles = ropeConfig.turns() ? Angles::ofRow(k, table, stepRow, halfPad) : Angles();
        Value query = k.at(out, k.mul(k.add(k.mul(stepRow, d.ldOut), k.mul(item, keyDim)), 4));
        rope.turn(head, angles, k.select(isQuery, query, turnedKey));
      });
      k.ifThen(k.less(k.sub(heads, k.i64(1)), item), [&] { write(item, isTurned, stepRow, head); });
    });
  }

private:
  Value scalar(HeadScalars which) { return k.scalar(scalarIndex(config, which)); }
  Value operand() { return k.operand(next++); }
  // Where a row of the tile has the head's outputs.
  Value headOf(Value row) { return k.at(tile, k.mul(k.mul(row, headUnits), 4 * kLanes)); }

  void write(Value item, Value isKey, Value stepRow, Value head) {
    CacheWriter::Place place = writer.placeOf(stepRow);
    auto branch = scf::IfOp::create(k.b, TypeRange{}, isKey, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(k.b);
    k.b.setInsertionPointToStart(branch.thenBlock());
    writer.key(place, k.sub(item, heads), turnedKey, keyDim);
    k.b.setInsertionPointToStart(branch.elseBlock());
    writer.value(place, k.sub(item, withKeys), head, valueDim);
  }

  KernelBuilder &k;
  const LinearConfig &config;
  const LinearDispatch &d;
  RopeConfig ropeConfig;
  int next; // operand
  Value heads, kvHeads;
  Value withKeys; // query and key heads, which come before the values
  Value keyBlocks, valueBlocks, keyDim, valueDim, halfPad;
  Value table, queryNorm, keyNorm, positions, sequences, pageTable, pool, out;
  HeadRope rope;
  PagedCache cache;
  CacheWriter writer;
  Value tile, turnedKey; // in the scratch
  Value firstUnit, headUnits; // of the item
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  LinearConfig config = readLinearConfig(kernel);
  LinearDispatch d(k, config);
  Heads outputs(k, kernel, config, d);
  emitLinear(k, config, d, outputs, variant);
}

} // namespace

const KindEmitter kLinearHeads = {"linear_heads", describe, emit};

} // namespace llmc::cpu
