// rope_table: cosines and sines of every row's position, once a step. rope: turns (and optionally norms) heads.
#include "codegen/common/Math.h"
#include "codegen/cpu/kinds/Rope.h"

#include "mlir/IR/BuiltinTypes.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

// ---- rope_table ----------------------------------------------------------------------------------------------------
namespace table {

enum Scalars { kRows, kHalf, kHalfPad, kSequences };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  info.scalarCount = 4;
  info.items = s(kRows);
  info.reads(Expression(4) * s(kRows)); // positions: any value has an angle
  if (configString(kernel, "scaling") == "dynamic") {
    info.indices(s(kRows), s(kSequences));
    info.reads(Expression(4) * s(kSequences));
  } else {
    info.reads(Expression(4) * s(kHalfPad));
  }
  info.writes(Expression(8) * s(kRows) * s(kHalfPad));
  info.require(s(kHalfPad) - s(kHalf));
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

// 16 frequencies base^(-2i/dim), i = first + lane, of a request of `length` tokens: transformers' dynamic NTK raises
// the base by (factor length / original - factor + 1)^(dim / (dim - 2)) beyond the original length.
Value dynamicFrequencies(KernelBuilder &k, exec::KernelOp kernel, Value length, Value first) {
  auto &b = k.b;
  auto f64 = [&](double v) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(v)); };
  double factor = configFloat(kernel, "factor");
  int64_t original = configInt(kernel, "original"), dim = configInt(kernel, "dim");
  Value used = arith::SIToFPOp::create(b, b.getF64Type(), k.max(length, k.i64(original)));
  Value growth = k.subf(k.divf(k.mulf(used, f64(factor)), f64(double(original))), f64(factor - 1));
  Value logBase = emitLogF64(k, f64(configFloat(kernel, "base")));
  Value logNtk = k.fma(emitLogF64(k, growth), f64(double(dim) / double(dim - 2)), logBase);
  Value lane = arith::AddIOp::create(b, k.iota(), k.broadcast(arith::TruncIOp::create(b, k.i32Type(), first)));
  Value index = arith::SIToFPOp::create(b, k.vec(b.getF64Type()), lane);
  Value slope = k.divf(k.mulf(logNtk, f64(-2)), f64(double(dim)));
  Value frequency = emitExpF64(k, k.mulf(index, k.broadcast(slope)));
  return arith::TruncFOp::create(b, k.f32Vec(), frequency);
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  auto &b = k.b;
  bool dynamic = configString(kernel, "scaling") == "dynamic";
  double factor = configFloat(kernel, "attention_factor");
  Value positions = k.operand(0);
  Value sequences = dynamic ? k.operand(1) : Value(), lengths = dynamic ? k.operand(2) : Value();
  Value frequencies = dynamic ? Value() : k.operand(1);
  Value out = k.operand(dynamic ? 3 : 2);
  Value halfPad = k.scalar(kHalfPad);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value position = k.load(k.i32Type(), k.at(positions, k.mul(item, 4)));
    Value wide = k.broadcast(arith::SIToFPOp::create(b, k.f32Type(), position));
    Value cosines = k.at(out, k.mul(k.mul(item, halfPad), 8));
    Value sines = k.at(cosines, k.mul(halfPad, 4));
    Value length = dynamic ? k.loadIndex(lengths, k.loadIndex(sequences, item)) : Value();
    k.loop(k.i64(0), wholeVectors(k, halfPad), kLanes, [&](Value i) {
      Value frequency = dynamic ? dynamicFrequencies(k, kernel, length, i) : k.loadVec(k.at(frequencies, k.mul(i, 4)));
      codegen::CosSin turned = emitCosSin(k, k.mulf(wide, frequency));
      k.store(k.mulf(turned.cosine, k.splat(factor)), k.at(cosines, k.mul(i, 4)));
      k.store(k.mulf(turned.sine, k.splat(factor)), k.at(sines, k.mul(i, 4)));
    });
  });
}

} // namespace table

// ---- rope ----------------------------------------------------------------------------------------------------------
enum Scalars { kRows, kHeads, kHeadDim, kHalf, kHalfPad, kLdIn, kLdOut };

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  KernelInfo info;
  info.scalarCount = 7;
  info.items = s(kRows);
  info.readsRows(s(kRows), s(kHeads) * s(kHeadDim), s(kLdIn));
  if (configString(kernel, "kind") != "none") info.reads(Expression(8) * s(kRows) * s(kHalfPad));
  if (configString(kernel, "norm") != "none") info.reads(Expression(4) * s(kHeadDim));
  info.writesRows(s(kRows), s(kHeads) * s(kHeadDim), s(kLdOut));
  info.require(s(kHeadDim) - Expression(2) * s(kHalf));
  info.require(s(kHalfPad) - s(kHalf));
  info.scratch = Expression(4) * s(kHeadDim) + Expression(4 * kLanes);
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

// The head into the scratch, so that out may be x.
void copyHead(KernelBuilder &k, HeadRope &rope, Value from) {
  k.loop(k.i64(0), rope.vectors(), 1, [&](Value i) {
    Value place = k.mul(i, 4 * kLanes);
    k.store(k.loadColumns(k.at(from, place), rope.valid(i)), k.at(k.scratch(), place), 64);
  });
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  RopeConfig config = RopeConfig::read(kernel, "kind");
  int next = 0;
  Value x = k.operand(next++);
  Value table = config.turns() ? k.operand(next++) : Value();
  Value weight = config.norm ? k.operand(next++) : Value();
  Value out = k.operand(next++);
  HeadRope rope{k, config, k.scalar(kHeadDim), k.scalar(kHalf)};
  Value heads = k.scalar(kHeads), halfPad = k.scalar(kHalfPad), ldIn = k.scalar(kLdIn), ldOut = k.scalar(kLdOut);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Angles angles = config.turns() ? Angles::ofRow(k, table, item, halfPad) : Angles();
    k.loop(k.i64(0), heads, 1, [&](Value head) {
      Value offset = k.mul(head, rope.headDim);
      copyHead(k, rope, k.at(x, k.mul(k.add(k.mul(item, ldIn), offset), 4)));
      if (config.norm) rope.normalize(k.scratch(), weight);
      rope.turn(k.scratch(), angles, k.at(out, k.mul(k.add(k.mul(item, ldOut), offset), 4)));
    });
  });
}

} // namespace

RopeConfig RopeConfig::read(exec::KernelOp kernel, llvm::StringRef key) {
  bool norm = configString(kernel, "norm") != "none";
  return {configString(kernel, key), norm, norm ? configFloat(kernel, "epsilon") : 0};
}

Angles Angles::ofRow(KernelBuilder &k, Value table, Value row, Value halfPad) {
  Value cosines = k.at(table, k.mul(k.mul(row, halfPad), 8));
  return {cosines, k.at(cosines, k.mul(halfPad, 4))};
}

void HeadRope::normalize(Value head, Value weight) {
  Values squares = k.loop(k.i64(0), vectors(), 1, {k.splat(0)}, [&](Value i, ValueRange carried) {
    Value v = k.load(k.f32Vec(), vectorOf(head, i), 64);
    return Values{k.fma(v, v, carried[0])};
  });
  Value count = arith::SIToFPOp::create(k.b, k.f32Type(), headDim);
  Value size = k.addf(k.divf(k.sum(squares[0]), count), k.f32(config.epsilon));
  Value factor = k.broadcast(k.divf(k.f32(1), math::SqrtOp::create(k.b, size)));
  k.loop(k.i64(0), vectors(), 1, [&](Value i) {
    Value w = k.loadColumns(k.at(weight, k.mul(i, 4 * kLanes)), valid(i));
    k.store(k.mulf(k.mulf(k.load(k.f32Vec(), vectorOf(head, i), 64), factor), w), vectorOf(head, i), 64);
  });
}

// (a, b) -> (a cos - b sin, b cos + a sin), products first as transformers rounds them.
static std::pair<Value, Value> turned(KernelBuilder &k, Value a, Value b, Value cosine, Value sine) {
  return {k.subf(k.mulf(a, cosine), k.mulf(b, sine)), k.addf(k.mulf(b, cosine), k.mulf(a, sine))};
}

void HeadRope::turnPair(Value head, Value pair, const Angles &angles, Value to) {
  bool interleaved = config.kind == "interleaved";
  Value first = interleaved ? k.mul(pair, 2) : pair;
  Value second = interleaved ? k.add(first, 1) : k.add(pair, half);
  auto [a, b] = turned(k, elementOf(head, first), elementOf(head, second), elementOf(angles.cosines, pair),
                       elementOf(angles.sines, pair));
  k.store(a, k.at(to, k.mul(first, 4)));
  k.store(b, k.at(to, k.mul(second, 4)));
}

// 16 pairs whose firsts, and whose seconds, lie side by side.
void HeadRope::turnVectors(Value head, Value pair, const Angles &angles, Value to) {
  Value first = k.mul(pair, 4), second = k.mul(k.add(pair, half), 4);
  auto [a, b] = turned(k, k.loadVec(k.at(head, first)), k.loadVec(k.at(head, second)),
                       k.loadVec(k.at(angles.cosines, first)), k.loadVec(k.at(angles.sines, first)));
  k.store(a, k.at(to, first));
  k.store(b, k.at(to, second));
}

void HeadRope::turn(Value head, const Angles &angles, Value to) {
  Value rest = k.i64(0); // the first element that does not turn
  if (config.turns()) {
    Value whole = config.kind == "half" ? wholeVectors(k, half) : k.i64(0);
    k.loop(k.i64(0), whole, kLanes, [&](Value pair) { turnVectors(head, pair, angles, to); });
    k.loop(whole, half, 1, [&](Value pair) { turnPair(head, pair, angles, to); });
    rest = k.mul(half, 2);
  }
  k.loop(rest, headDim, 1, [&](Value i) { k.store(elementOf(head, i), k.at(to, k.mul(i, 4))); });
}

const KindEmitter kRopeTable = {"rope_table", table::describe, table::emit};
const KindEmitter kRope = {"rope", describe, emit};

} // namespace llmc::cpu
