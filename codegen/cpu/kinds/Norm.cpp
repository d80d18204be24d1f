// norm: divides a row by its size, and writes it as f32 or rounded to int8 or bf16 in the tiles that linears read.
#include "codegen/cpu/kinds/Norm.h"

#include "codegen/cpu/PairDot.h"
#include "codegen/cpu/kinds/NormTiles.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kColumns, kVectors, kLdIn, kOut /* ldo; C of tiles */, kTokens, kRuns };

void describeTiles(const NormConfig &c, const codegen::CpuTier &tier, KernelInfo &info) {
  Expression padded = Expression(c.int8() ? c.scheme->columns_per_chunk() : kChainColumns) * s(kOut);
  info.require(padded - s(kColumns));
  info.requireCeil(padded, s(kRuns), kRunColumns);
  if (c.int8()) {
    info.writes(s(kRows) * padded);
    info.writes(Expression(4 * 2) * s(kRows) * s(kOut));
    info.writes(Expression(4) * s(kRows) * s(kRuns));
  } else {
    info.writes(Expression(PairDot::inputBytes(tier)) * s(kRows) * padded);
  }
  info.scratch = Expression(TiledNorm::kScratchBytes);
  // A piece measures all rows of its tile again before it writes its columns of them: it should be worth that.
  info.items = s(kRows) * s(kRuns);
  info.grain = c.kind == "none" ? 16 : 64;
}

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  NormConfig c = readNormConfig(kernel);
  KernelInfo info;
  info.scalarCount = c.tiled() ? 7 : 6;
  info.readsRows(c.gather ? s(kTokens) : s(kRows), s(kColumns), s(kLdIn));
  if (c.gather) info.indices(s(kRows), s(kTokens));
  if (c.kind != "none") info.reads(Expression(4 * kLanes) * s(kVectors));
  if (c.bias) info.reads(Expression(4 * kLanes) * s(kVectors));
  info.requireCeil(s(kColumns), s(kVectors), kLanes);
  if (c.tiled()) {
    describeTiles(c, tier, info);
  } else {
    info.writesRows(s(kRows), s(kColumns), s(kOut));
    info.items = s(kRows);
  }
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

void emitF32Norm(KernelBuilder &k, const NormConfig &config) {
  Norm norm(k, config);
  k.loop(k.begin(), k.end(), 1, [&](Value item) {
    Value source = norm.source(item), target = k.at(norm.out, k.mul(k.mul(item, norm.ldOut), 4));
    Norm::Size size = norm.measure(source);
    k.loop(k.i64(0), norm.vectors, 1, [&](Value vector) {
      Value valid = k.sub(norm.columns, k.mul(vector, kLanes));
      k.storeColumns(norm.normalized(source, vector, size, valid), k.at(target, k.mul(vector, 4 * kLanes)), valid);
    });
  });
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  NormConfig config = readNormConfig(kernel);
  if (!config.tiled()) return emitF32Norm(k, config);
  config.int8() ? emitInt8Norm(k, config) : emitBf16Norm(k, config);
}

} // namespace

NormConfig readNormConfig(exec::KernelOp kernel) {
  llvm::StringRef out = configString(kernel, "out");
  return {configString(kernel, "kind"), configFloat(kernel, "epsilon"), configBool(kernel, "bias"),
          configBool(kernel, "gather"), out, out == "int8" ? configScheme(kernel) : nullptr};
}

Norm::Norm(KernelBuilder &k, const NormConfig &config) : k(k), config(config) {
  int next = 0;
  x = k.operand(next++);
  if (config.gather) rows = k.operand(next++);
  if (sized()) weight = k.operand(next++);
  if (config.bias) bias = k.operand(next++);
  out = k.operand(next++);
  if (config.int8()) {
    corr = k.operand(next++);
    scale = k.operand(next++);
  }
  if (config.tiled()) runs = k.scalar(kRuns);
  n = k.scalar(kRows);
  columns = k.scalar(kColumns);
  vectors = k.scalar(kVectors);
  ldIn = k.scalar(kLdIn);
  ldOut = k.scalar(kOut);
}

Value Norm::source(Value row) {
  Value read = config.gather ? k.loadIndex(rows, row) : row;
  return k.at(x, k.mul(k.mul(read, ldIn), 4));
}

Value Norm::load(Value source, Value vector, Value valid) {
  Value pointer = k.at(source, k.mul(vector, 4 * kLanes));
  return valid ? k.loadColumns(pointer, valid) : k.loadVec(pointer);
}

// The sum over the row of term(sum, vector, columns of it that exist; null for 16), in the documented order.
Value Norm::rowSum(Value source, llvm::function_ref<Value(Value sum, Value vector, Value valid)> term) {
  Value whole = k.div(columns, kLanes);
  Value rest = k.sub(columns, k.mul(whole, kLanes));
  Values sums = k.loop(k.i64(0), whole, 1, {k.splat(0)}, [&](Value vector, ValueRange carried) {
    return Values{term(carried[0], load(source, vector, Value()), Value())};
  });
  Value sum = k.ifElse(
      k.less(whole, vectors), [&] { return term(sums[0], load(source, whole, rest), rest); }, [&] { return sums[0]; });
  return k.sum(sum);
}

Norm::Size Norm::measure(Value source) {
  if (!sized()) return {};
  Value count = arith::SIToFPOp::create(k.b, k.f32Type(), columns), squares;
  Size size;
  if (config.kind == "rms") {
    squares = rowSum(source, [&](Value sum, Value v, Value) { return k.fma(v, v, sum); });
  } else {
    size.mean = k.divf(rowSum(source, [&](Value sum, Value v, Value) { return k.addf(sum, v); }), count);
    Value center = k.broadcast(size.mean);
    squares = rowSum(source, [&](Value sum, Value v, Value valid) {
      Value d = k.subf(v, center);
      if (valid) d = k.select(k.validMask(valid), d, k.splat(0));
      return k.fma(d, d, sum);
    });
  }
  Value square = k.addf(k.divf(squares, count), k.f32(config.epsilon));
  size.factor = k.divf(k.f32(1), math::SqrtOp::create(k.b, square));
  return size;
}

Value Norm::normalized(Value source, Value vector, const Size &size, Value valid) {
  Value v = load(source, vector, valid), bytes = k.mul(vector, 4 * kLanes);
  if (!sized()) return v;
  if (size.mean) v = k.subf(v, k.broadcast(size.mean));
  v = k.mulf(k.mulf(v, k.broadcast(size.factor)), k.loadVec(k.at(weight, bytes)));
  return config.bias ? k.addf(v, k.loadVec(k.at(bias, bytes))) : v;
}

const KindEmitter kNorm = {"norm", describe, emit};

} // namespace llmc::cpu
