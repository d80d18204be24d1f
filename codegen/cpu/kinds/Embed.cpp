// embed: rows of a packed table by token id, plus rows of another by position.
#include "codegen/cpu/kinds/GroupScale.h"
#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kColumns, kTableRows, kTableBlocks, kChunks, kLdOut, kPositionRows, kPositionBlocks };

// A part of a table: two more scalars, its first row and its number of rows. Tokens of other rows are left alone.
bool isPart(exec::KernelOp kernel) { return kernel.getFlag("part"); }
int firstOfPart(exec::KernelOp kernel) { return configBool(kernel, "positions") ? 8 : 6; }

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  bool positions = configBool(kernel, "positions"), part = isPart(kernel);
  info.scalarCount = firstOfPart(kernel) + (part ? 2 : 0);
  info.items = s(kRows);
  info.indices(s(kRows), s(kTableRows));
  info.reads(matrixBytes(kernel, s(kTableBlocks), s(kChunks)), 64);
  info.requireCeil(s(part ? firstOfPart(kernel) + 1 : int(kTableRows)), s(kTableBlocks), kLanes);
  if (const Scheme *scheme = configScheme(kernel)) {
    info.require(Expression(scheme->columns_per_chunk()) * s(kChunks) - s(kColumns));
  } else {
    info.require(s(kChunks) - s(kColumns));
    info.require(s(kColumns) - s(kChunks));
  }
  if (positions) {
    info.indices(s(kRows), s(kPositionRows));
    info.reads(Expression(4 * kLanes) * s(kPositionBlocks) * s(kColumns), 64);
    info.requireCeil(s(kPositionRows), s(kPositionBlocks), kLanes);
  }
  info.writesRows(s(kRows), s(kColumns), s(kLdOut));
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

// One element of an unquantized table as f32.
Value loadScalarElement(KernelBuilder &k, llvm::StringRef element, Value pointer) {
  auto &b = k.b;
  if (element == "f32") return k.loadF32(pointer);
  if (element == "f16") return arith::ExtFOp::create(b, k.f32Type(), k.load(b.getF16Type(), pointer, 2));
  Value bits = arith::ExtUIOp::create(b, k.i32Type(), k.load(b.getI16Type(), pointer, 2));
  return arith::BitcastOp::create(b, k.f32Type(), arith::ShLIOp::create(b, bits, k.i32(16)));
}

// Row `lane` of a block of a quantized table, column `column`.
Value loadQuantized(KernelBuilder &k, const Scheme &scheme, Value block, Value lane, Value column) {
  auto &b = k.b;
  int64_t g = scheme.group, perLine = scheme.bits == 4 ? 8 : 4;
  Value chunk = k.at(block, k.mul(k.div(column, 2 * g), scheme.chunk_bytes()));
  Value within = k.rem(column, 2 * g);
  Value scaleAt = k.at(chunk, k.mul(k.add(k.mul(k.div(within, g), kLanes), lane), 2));
  GroupScale scale = loadGroupScale(k, scheme, scaleAt);
  Value line = k.at(chunk, k.add(k.mul(k.div(within, perLine), 64), 64));
  Value byteAt = k.at(line, k.add(k.mul(lane, 4), k.rem(within, 4)));
  Value u = arith::ExtUIOp::create(b, k.i32Type(), k.load(k.i8Type(), byteAt, 1));
  if (scheme.bits == 4) {
    Value upper = k.mul(k.rem(k.div(within, 4), 2), 4); // 0 or 4: which nibble
    u = arith::ShRUIOp::create(b, u, arith::TruncIOp::create(b, k.i32Type(), upper));
    u = arith::AndIOp::create(b, u, k.i32(15));
  }
  return dequantize(k, scheme, u, scale);
}

// What a dispatch gives, read before the first loop.
struct Embed {
  KernelBuilder &k;
  const Scheme *scheme;
  llvm::StringRef element;
  bool positions;
  Value factor;
  Value table = k.operand(1);
  Value positionIds = positions ? k.operand(2) : Value(), positionTable = positions ? k.operand(3) : Value();
  Value out = k.operand(positions ? 4 : 2);
  Value columns = k.scalar(kColumns), chunks = k.scalar(kChunks), ldOut = k.scalar(kLdOut);

  // Row `id` of the table to row `item` of the output.
  void row(Value item, Value id) {
    int64_t bytes = scheme ? 0 : KernelBuilder::elementBytes(element);
    Value blockBytes = scheme ? k.mul(chunks, scheme->chunk_bytes()) : k.mul(columns, kLanes * bytes);
    Value lane = k.rem(id, kLanes), block = k.at(table, k.mul(k.div(id, kLanes), blockBytes));
    Value target = k.at(out, k.mul(k.mul(item, ldOut), 4));
    Value positionLane, positionBlock;
    if (positions) {
      Value position = k.loadIndex(positionIds, item);
      positionLane = k.rem(position, kLanes);
      positionBlock = k.at(positionTable, k.mul(k.div(position, kLanes), k.mul(columns, 4 * kLanes)));
    }
    k.loop(k.i64(0), columns, 1, [&](Value column) {
      Value place = k.add(k.mul(column, kLanes), lane);
      Value value = scheme ? loadQuantized(k, *scheme, block, lane, column)
                           : loadScalarElement(k, element, k.at(block, k.mul(place, bytes)));
      value = k.mulf(value, factor);
      if (positions) {
        Value there = k.add(k.mul(column, kLanes), positionLane);
        value = k.addf(value, k.loadF32(k.at(positionBlock, k.mul(there, 4))));
      }
      k.store(value, k.at(target, k.mul(column, 4)));
    });
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  Value ids = k.operand(0);
  Embed embed{k, configScheme(kernel), configString(kernel, "element"), configBool(kernel, "positions"),
              k.f32(configFloat(kernel, "scale"))};
  Value first = isPart(kernel) ? k.scalar(firstOfPart(kernel)) : Value();
  Value rows = isPart(kernel) ? k.scalar(firstOfPart(kernel) + 1) : Value();
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value id = k.loadIndex(ids, item);
    if (!isPart(kernel)) return embed.row(item, id);
    Value inPart = k.sub(id, first), notBefore = k.less(k.i64(-1), inPart);
    k.ifThen(arith::AndIOp::create(k.b, notBefore, k.less(inPart, rows)), [&] { embed.row(item, inPart); });
  });
}

} // namespace

const KindEmitter kEmbed = {"embed", describe, emit};

} // namespace llmc::cpu
