// norm: divides a row by its size, and writes it as f32 or rounded to int8 in the tiles that int8 linears read.
#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars { kRows, kColumns, kVectors, kLdIn, kOut /* ldo, or C with int8 */, kTokens, kScales };

constexpr int64_t kScaleColumns = 128; // columns that share an activation scale
constexpr int64_t kTileRows = 16;

struct Config {
  llvm::StringRef kind;
  double epsilon;
  bool bias, gather, int8;
  const Scheme *scheme; // of the linear that reads it, with int8
};

Config readConfig(exec::KernelOp kernel) {
  bool int8 = configString(kernel, "out") == "int8";
  return {configString(kernel, "kind"), configFloat(kernel, "epsilon"), configBool(kernel, "bias"),
          configBool(kernel, "gather"), int8, int8 ? configScheme(kernel) : nullptr};
}

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &) {
  Config c = readConfig(kernel);
  KernelInfo info;
  info.scalarCount = c.int8 ? 7 : 6;
  info.items = s(kRows);
  info.readsRows(c.gather ? s(kTokens) : s(kRows), s(kColumns), s(kLdIn));
  if (c.gather) info.indices(s(kRows), s(kTokens));
  if (c.kind != "none") info.reads(Expression(4 * kLanes) * s(kVectors));
  if (c.bias) info.reads(Expression(4 * kLanes) * s(kVectors));
  info.requireCeil(s(kColumns), s(kVectors), kLanes);
  if (c.int8) {
    int64_t perChunk = c.scheme->columnsPerChunk();
    info.require(Expression(perChunk) * s(kOut) - s(kColumns));
    info.requireCeil(Expression(perChunk) * s(kOut), s(kScales), kScaleColumns);
    info.writes(Expression(perChunk) * s(kRows) * s(kOut));
    info.writes(Expression(4 * 2) * s(kRows) * s(kOut));
    info.writes(Expression(4) * s(kRows) * s(kScales));
    info.scratch = Expression(4 * kScaleColumns) * s(kScales);
  } else {
    info.writesRows(s(kRows), s(kColumns), s(kOut));
    info.scratch = Expression(4 * kLanes) * s(kVectors);
  }
  info.variants = {{0, INT64_MAX, 1}};
  return info;
}

// One kernel's values, loaded in its entry block.
struct Norm {
  KernelBuilder &k;
  Config config;
  Value x, rows, weight, bias, out, corr, scale;
  Value n, columns, vectors, ldIn, ldOut, scales;

  Norm(KernelBuilder &k, const Config &config) : k(k), config(config) {
    int next = 0;
    x = k.operand(next++);
    if (config.gather) rows = k.operand(next++);
    if (config.kind != "none") weight = k.operand(next++);
    if (config.bias) bias = k.operand(next++);
    out = k.operand(next++);
    if (config.int8) {
      corr = k.operand(next++);
      scale = k.operand(next++);
      scales = k.scalar(kScales);
    }
    n = k.scalar(kRows);
    columns = k.scalar(kColumns);
    vectors = k.scalar(kVectors);
    ldIn = k.scalar(kLdIn);
    ldOut = k.scalar(kOut);
  }

  void emitRow(Value item);
  void copyRow(Value from);
  Value rootSize(Value mean); // 1 / sqrt(variance or mean square + epsilon), f32
  void normalize(Value mean, Value factor);
  void storeRow(Value item);
  void quantizeRow(Value item);
  void quantizeGroup(Value tile, Value lane, Value tileRows, Value index);

  Value scratchVec(Value index) { return k.at(k.scratch(), k.mul(index, 4 * kLanes)); }
  Value valid(Value index) { return k.sub(columns, k.mul(index, kLanes)); }
  Value columnsF32() { return arith::SIToFPOp::create(k.b, k.f32Type(), columns); }
  // The sum over the row in scratch of term(vector, index), in the documented order.
  Value rowSum(llvm::function_ref<Value(Value sum, Value vector, Value index)> term) {
    Values total = k.loop(k.i64(0), vectors, 1, {k.splat(0)}, [&](Value index, ValueRange carried) {
      return Values{term(carried[0], k.load(k.f32Vec(), scratchVec(index), 64), index)};
    });
    return k.sum(total[0]);
  }
};

void Norm::copyRow(Value from) {
  k.loop(k.i64(0), vectors, 1, [&](Value index) {
    Value vector = k.loadColumns(k.at(from, k.mul(index, 4 * kLanes)), valid(index));
    k.store(vector, scratchVec(index), 64);
  });
}

Value Norm::rootSize(Value mean) {
  Value squares;
  if (config.kind == "rms") {
    squares = rowSum([&](Value sum, Value v, Value) { return k.fma(v, v, sum); });
  } else {
    Value center = k.broadcast(mean);
    squares = rowSum([&](Value sum, Value v, Value index) {
      Value d = k.select(k.validMask(valid(index)), k.subf(v, center), k.splat(0));
      return k.fma(d, d, sum);
    });
  }
  Value size = k.addf(k.divf(squares, columnsF32()), k.f32(config.epsilon));
  return k.divf(k.f32(1), math::SqrtOp::create(k.b, size));
}

void Norm::normalize(Value mean, Value factor) {
  Value wide = k.broadcast(factor), center = mean ? k.broadcast(mean) : Value();
  k.loop(k.i64(0), vectors, 1, [&](Value index) {
    Value bytes = k.mul(index, 4 * kLanes);
    Value v = k.load(k.f32Vec(), scratchVec(index), 64);
    if (center) v = k.subf(v, center);
    v = k.mulf(k.mulf(v, wide), k.loadVec(k.at(weight, bytes))); // zero past the last column, like the weight
    if (config.bias) v = k.addf(v, k.loadVec(k.at(bias, bytes)));
    k.store(v, scratchVec(index), 64);
  });
}

void Norm::emitRow(Value item) {
  Value source = config.gather ? k.loadIndex(rows, item) : item;
  copyRow(k.at(x, k.mul(k.mul(source, ldIn), 4)));
  if (config.kind != "none") {
    Value mean;
    if (config.kind == "layer")
      mean = k.divf(rowSum([&](Value sum, Value v, Value) { return k.addf(sum, v); }), columnsF32());
    normalize(mean, rootSize(mean));
  }
  if (config.int8)
    quantizeRow(item);
  else
    storeRow(item);
}

void Norm::storeRow(Value item) {
  Value target = k.at(out, k.mul(k.mul(item, ldOut), 4));
  k.loop(k.i64(0), vectors, 1, [&](Value index) {
    Value vector = k.load(k.f32Vec(), scratchVec(index), 64);
    k.storeColumns(vector, k.at(target, k.mul(index, 4 * kLanes)), valid(index));
  });
}

void Norm::quantizeRow(Value item) {
  Value end = k.mul(scales, kScaleColumns / kLanes);
  k.loop(vectors, end, 1, [&](Value index) { k.store(k.splat(0), scratchVec(index), 64); });
  Value tile = k.mul(k.div(item, kTileRows), kTileRows), lane = k.rem(item, kTileRows);
  Value tileRows = k.min(k.sub(n, tile), k.i64(kTileRows));
  k.loop(k.i64(0), scales, 1, [&](Value index) { quantizeGroup(tile, lane, tileRows, index); });
}

// 16 rounded columns as int32 lanes.
Value roundVector(KernelBuilder &k, Value vector, Value inverse) {
  Value rounded = math::RoundEvenOp::create(k.b, k.mulf(vector, inverse));
  return arith::FPToSIOp::create(k.b, k.vec(k.i32Type()), rounded);
}

// One scale's columns of one row: 8 vectors. The last ones of a row whose Kp is not a multiple of 128 do not exist.
void Norm::quantizeGroup(Value tile, Value lane, Value tileRows, Value index) {
  auto &b = k.b;
  constexpr int64_t kVectorsPerScale = kScaleColumns / kLanes;
  Value first = k.mul(index, kVectorsPerScale);
  Value largest = k.splat(0);
  Values vectorsOfGroup;
  for (int64_t i = 0; i < kVectorsPerScale; ++i) {
    vectorsOfGroup.push_back(k.load(k.f32Vec(), scratchVec(k.add(first, i)), 64));
    largest = k.maxf(math::AbsFOp::create(b, vectorsOfGroup.back()), largest);
  }
  Value size = k.maximum(largest);
  Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, size, k.f32(0));
  Value inverse = k.broadcast(k.select(isZero, k.f32(0), k.divf(k.f32(127), size)));
  Value scaleAt = k.add(k.add(k.mul(tile, scales), k.mul(index, tileRows)), lane);
  k.store(k.divf(size, k.f32(127)), k.at(scale, k.mul(scaleAt, 4)));

  const Scheme &scheme = *config.scheme;
  int64_t columnsPerChunk = scheme.columnsPerChunk();
  Value kp = k.mul(ldOut, columnsPerChunk); // ldOut is C here
  Value tileQ = k.at(out, k.mul(tile, kp));
  Value tileCorr = k.at(corr, k.mul(k.mul(tile, k.mul(ldOut, 2)), 4));
  // Groups inside the 128 columns (g 32, 64, 128): exist while their first column is below Kp.
  int64_t vectorsPerGroup = scheme.group / kLanes;
  for (int64_t i = 0; i < kVectorsPerScale; i += vectorsPerGroup) {
    Value column = k.add(k.mul(index, kScaleColumns), i * kLanes);
    k.ifThen(k.less(column, kp), [&] {
      Value total = k.splatInt(0);
      for (int64_t j = 0; j < vectorsPerGroup; ++j) {
        Value q = roundVector(k, vectorsOfGroup[i + j], inverse);
        total = arith::AddIOp::create(b, total, q);
        Value bytes = arith::TruncIOp::create(b, k.vec(k.i8Type()), q);
        Value words = vector::BitCastOp::create(b, k.vec(k.i32Type(), 4), bytes);
        Value quad = k.div(k.add(column, j * kLanes), 4);
        for (int64_t w = 0; w < 4; ++w) {
          Value word = vector::ExtractOp::create(b, words, llvm::ArrayRef<int64_t>{w});
          Value place = k.add(k.mul(k.add(quad, w), tileRows), lane);
          k.store(word, k.at(tileQ, k.mul(place, 4)));
        }
      }
      Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
      Value corrected = arith::MulIOp::create(b, sum, k.i32(-scheme.zero));
      Value place = k.add(k.mul(k.div(column, scheme.group), tileRows), lane);
      k.store(corrected, k.at(tileCorr, k.mul(place, 4)));
    });
  }
}

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  Norm norm(k, readConfig(kernel));
  k.loop(k.begin(), k.end(), 1, [&](Value item) { norm.emitRow(item); });
}

} // namespace

const KindEmitter kNorm = {"norm", describe, emit};

} // namespace llmc::cpu
