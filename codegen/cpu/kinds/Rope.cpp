// rope_table: cosines and sines of every row's position, once a step. rope: turns (and optionally norms) heads.
#include "codegen/common/Math.h"
#include "codegen/cpu/kinds/Kinds.h"

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

struct Rope {
  KernelBuilder &k;
  llvm::StringRef kind;
  bool norm;
  double epsilon;
  Value x, table, weight, out, headDim, half, vectors;

  Value headVec(Value index) { return k.at(k.scratch(), k.mul(index, 4 * kLanes)); }
  Value valid(Value index) { return k.sub(headDim, k.mul(index, kLanes)); }
  Value head(Value element) { return k.loadF32(k.at(k.scratch(), k.mul(element, 4))); }

  // The head into scratch, whole vectors, zero past its end; so that out may be x.
  void copy(Value from) {
    k.loop(k.i64(0), vectors, 1, [&](Value i) {
      k.store(k.loadColumns(k.at(from, k.mul(i, 4 * kLanes)), valid(i)), headVec(i), 64);
    });
  }

  void normalize() {
    Values squares = k.loop(k.i64(0), vectors, 1, {k.splat(0)}, [&](Value i, ValueRange carried) {
      Value v = k.load(k.f32Vec(), headVec(i), 64);
      return Values{k.fma(v, v, carried[0])};
    });
    Value count = arith::SIToFPOp::create(k.b, k.f32Type(), headDim);
    Value size = k.addf(k.divf(k.sum(squares[0]), count), k.f32(epsilon));
    Value factor = k.broadcast(k.divf(k.f32(1), math::SqrtOp::create(k.b, size)));
    k.loop(k.i64(0), vectors, 1, [&](Value i) {
      Value w = k.loadColumns(k.at(weight, k.mul(i, 4 * kLanes)), valid(i));
      k.store(k.mulf(k.mulf(k.load(k.f32Vec(), headVec(i), 64), factor), w), headVec(i), 64);
    });
  }

  // (a, b) -> (a cos - b sin, b cos + a sin), products first as transformers rounds them.
  std::pair<Value, Value> turned(Value a, Value b, Value cosine, Value sine) {
    return {k.subf(k.mulf(a, cosine), k.mulf(b, sine)), k.addf(k.mulf(b, cosine), k.mulf(a, sine))};
  }

  void turnPair(Value pair, Value cosines, Value sines, Value to) {
    bool interleaved = kind == "interleaved";
    Value first = interleaved ? k.mul(pair, 2) : pair;
    Value second = interleaved ? k.add(first, 1) : k.add(pair, half);
    Value place = k.mul(pair, 4);
    auto [a, b] = turned(head(first), head(second), k.loadF32(k.at(cosines, place)), k.loadF32(k.at(sines, place)));
    k.store(a, k.at(to, k.mul(first, 4)));
    k.store(b, k.at(to, k.mul(second, 4)));
  }

  // 16 pairs whose firsts, and whose seconds, lie side by side.
  void turnVectors(Value pair, Value cosines, Value sines, Value to) {
    Value first = k.mul(pair, 4), second = k.mul(k.add(pair, half), 4);
    auto [a, b] = turned(k.loadVec(k.at(k.scratch(), first)), k.loadVec(k.at(k.scratch(), second)),
                         k.loadVec(k.at(cosines, first)), k.loadVec(k.at(sines, first)));
    k.store(a, k.at(to, first));
    k.store(b, k.at(to, second));
  }

  void turn(Value cosines, Value sines, Value to) {
    Value whole = kind == "half" ? wholeVectors(k, half) : k.i64(0);
    k.loop(k.i64(0), whole, kLanes, [&](Value pair) { turnVectors(pair, cosines, sines, to); });
    k.loop(whole, half, 1, [&](Value pair) { turnPair(pair, cosines, sines, to); });
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  bool norm = configString(kernel, "norm") != "none";
  Rope r{k, configString(kernel, "kind"), norm, norm ? configFloat(kernel, "epsilon") : 0, {}, {}, {}, {}, {}, {}, {}};
  bool turns = r.kind != "none";
  int next = 0;
  r.x = k.operand(next++);
  if (turns) r.table = k.operand(next++);
  if (r.norm) r.weight = k.operand(next++);
  r.out = k.operand(next++);
  r.headDim = k.scalar(kHeadDim);
  r.half = k.scalar(kHalf);
  r.vectors = k.div(k.add(r.headDim, kLanes - 1), kLanes);
  Value heads = k.scalar(kHeads), halfPad = k.scalar(kHalfPad), ldIn = k.scalar(kLdIn), ldOut = k.scalar(kLdOut);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value cosines = turns ? k.at(r.table, k.mul(k.mul(item, halfPad), 8)) : Value();
    Value sines = turns ? k.at(cosines, k.mul(halfPad, 4)) : Value();
    k.loop(k.i64(0), heads, 1, [&](Value head) {
      Value offset = k.mul(head, r.headDim);
      r.copy(k.at(r.x, k.mul(k.add(k.mul(item, ldIn), offset), 4)));
      if (r.norm) r.normalize();
      Value to = k.at(r.out, k.mul(k.add(k.mul(item, ldOut), offset), 4));
      if (turns) r.turn(cosines, sines, to);
      Value rest = turns ? k.mul(r.half, 2) : k.i64(0); // the elements that do not turn
      k.loop(rest, r.headDim, 1, [&](Value i) { k.store(r.head(i), k.at(to, k.mul(i, 4))); });
    });
  });
}

} // namespace

const KindEmitter kRopeTable = {"rope_table", table::describe, table::emit};
const KindEmitter kRope = {"rope", describe, emit};

} // namespace llmc::cpu
