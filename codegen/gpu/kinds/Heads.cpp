// The kinds of one row or head a workgroup of 16 threads: norm and rope. Sums over a row have 16 strided partial sums
// and a fixed tree.
#include "codegen/gpu/kinds/RowTiles.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

// The sum over i = lane, lane + 16, ... < count of term(sum, i), in all threads: none has it before all have read theirs.
Value rowSum(GpuBuilder &k, Value count, llvm::function_ref<Value(Value sum, Value i)> term) {
  Values partial = k.loop(k.thread(), count, kLanes, k.zeros(1), [&](Value i, ValueRange carried) {
    return Values{term(carried[0], i)};
  });
  return k.sumOfThreads(partial[0], kLanes);
}

// 1 / sqrt(squares / count + epsilon)
Value inverseSize(GpuBuilder &k, Value squares, Value count, double epsilon) {
  Value size = k.addf(k.divf(squares, k.toF32(count)), k.f32(epsilon));
  return k.divf(k.f32(1), math::SqrtOp::create(k.b, size));
}

namespace norm {

enum Scalars { kRows, kColumns, kVectors, kLdIn, kLdOut /* of int8 rows chunks, of bf16 rows Kp / 32 */, kTokens, kRuns };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows);
  info.grain = 1;
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef kind = cpu::configString(kernel, "kind");
  bool gather = cpu::configBool(kernel, "gather"), bias = cpu::configBool(kernel, "bias");
  int next = 1;
  int rows = gather ? next++ : -1, weight = kind != "none" ? next++ : -1, biases = bias ? next++ : -1, out = next;
  double epsilon = cpu::configFloat(kernel, "epsilon");
  Value columns = k.scalar(kColumns);
  k.forGroupItem([&](Value item) {
    Value from = k.mul(gather ? k.loadIndex(rows, item) : item, k.scalar(kLdIn)), to = k.mul(item, k.scalar(kLdOut));
    auto load = [&](Value i) { return k.loadF32(0, k.add(from, i)); };
    Value mean, factor;
    if (kind == "layer") {
      Value sum = rowSum(k, columns, [&](Value sum, Value i) { return k.addf(sum, load(i)); });
      mean = k.divf(sum, k.toF32(columns));
    }
    if (kind != "none") {
      Value squares = rowSum(k, columns, [&](Value sum, Value i) {
        Value x = mean ? k.subf(load(i), mean) : load(i);
        return k.fma(x, x, sum);
      });
      factor = inverseSize(k, squares, columns, epsilon);
    }
    auto value = [&](Value i) {
      Value x = load(i);
      if (mean) x = k.subf(x, mean);
      if (factor) x = k.mulf(k.mulf(x, factor), k.loadF32(weight, i));
      return bias ? k.addf(x, k.loadF32(biases, i)) : x;
    };
    llvm::StringRef format = cpu::configString(kernel, "out");
    if (format == "bf16")
      return storeBf16Row(k, out, Bf16Tiles(k, k.scalar(kRows), k.scalar(kLdOut)), columns, item, value);
    if (format == "int8") {
      const Scheme &scheme = *configScheme(kernel);
      Int8Tiles tiles(k, scheme, k.scalar(kRows), k.scalar(kLdOut), k.scalar(kRuns));
      return storeInt8Row(k, scheme, out, tiles, columns, item, value);
    }
    k.loop(k.thread(), columns, kLanes, [&](Value i) { k.storeF32(out, value(i), k.add(to, i)); });
  });
}

} // namespace norm

namespace rope {

enum Scalars { kRows, kHeads, kHeadDim, kHalf, kHalfPad, kLdIn, kLdOut };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kHeads);
  info.grain = 1;
}

// out may be x: after the norm's sum, which all threads have read theirs for, every value is read and written by one
// thread alone.
void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef kind = cpu::configString(kernel, "kind");
  bool norm = cpu::configString(kernel, "norm") != "none", turns = kind != "none", interleaved = kind == "interleaved";
  int next = 1;
  int table = turns ? next++ : -1, weight = norm ? next++ : -1, out = next;
  Value headDim = k.scalar(kHeadDim), half = k.scalar(kHalf), halfPad = k.scalar(kHalfPad);
  k.forGroupItem([&](Value item) {
    Value row = k.div(item, k.scalar(kHeads)), offset = k.mul(k.rem(item, k.scalar(kHeads)), headDim);
    Value from = k.add(k.mul(row, k.scalar(kLdIn)), offset), to = k.add(k.mul(row, k.scalar(kLdOut)), offset);
    auto load = [&](Value i) { return k.loadF32(0, k.add(from, i)); };
    Value factor;
    if (norm) {
      Value squares = rowSum(k, headDim, [&](Value sum, Value i) {
        Value x = load(i);
        return k.fma(x, x, sum);
      });
      factor = inverseSize(k, squares, headDim, cpu::configFloat(kernel, "epsilon"));
    }
    auto value = [&](Value i) { return factor ? k.mulf(k.mulf(load(i), factor), k.loadF32(weight, i)) : load(i); };
    if (turns) {
      Value cosines = k.mul(k.mul(row, halfPad), 2), sines = k.add(cosines, halfPad);
      // (a, b) -> (a cos - b sin, b cos + a sin), products first as transformers rounds them.
      k.loop(k.thread(), half, kLanes, [&](Value pair) {
        Value first = interleaved ? k.mul(pair, 2) : pair;
        Value second = interleaved ? k.add(first, 1) : k.add(pair, half);
        Value a = value(first), b = value(second);
        Value cosine = k.loadF32(table, k.add(cosines, pair)), sine = k.loadF32(table, k.add(sines, pair));
        k.storeF32(out, k.subf(k.mulf(a, cosine), k.mulf(b, sine)), k.add(to, first));
        k.storeF32(out, k.addf(k.mulf(b, cosine), k.mulf(a, sine)), k.add(to, second));
      });
    }
    Value rest = turns ? k.mul(half, 2) : k.index(0); // the elements that do not turn
    k.loop(k.add(rest, k.thread()), headDim, kLanes,
           [&](Value i) { k.storeF32(out, value(i), k.add(to, i)); });
  });
}

} // namespace rope

} // namespace

const KindEmitter kNorm = {"norm", norm::describe, kLanes, norm::emit};
const KindEmitter kRope = {"rope", rope::describe, kLanes, rope::emit};

} // namespace llmc::gpu
