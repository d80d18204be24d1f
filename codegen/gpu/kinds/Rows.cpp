// The kinds of one work item a value: embed, map, cache_write, rope_table.
#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::Expression;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

constexpr int64_t kThreads = 64;

// ---- embed: rows of a packed table by token id, plus rows of another by position -----------------------------------
namespace embed {

enum Scalars { kRows, kColumns, kTableRows, kTableBlocks, kChunks, kLdOut, kPositionRows, kPositionBlocks };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kColumns);
  info.grain = kThreads;
}

// Column `column` of row `id` of the table, to row `row` of the output.
void emitValue(GpuBuilder &k, exec::KernelOp kernel, Value row, Value column, Value id) {
  bool positions = cpu::configBool(kernel, "positions");
  const Scheme *scheme = configScheme(kernel);
  llvm::StringRef element = cpu::configString(kernel, "element");
  Value block = k.mul(k.div(id, kLanes), blockWords(k, scheme, element, k.scalar(kChunks)));
  Value value = loadMatrix(k, 1, scheme, element, block, k.rem(id, kLanes), column);
  value = k.mulf(value, k.f32(cpu::configFloat(kernel, "scale")));
  if (positions) {
    Value position = k.loadIndex(2, row);
    Value there = k.mul(k.div(position, kLanes), blockWords(k, nullptr, "f32", k.scalar(kColumns)));
    value = k.addf(value, loadMatrix(k, 3, nullptr, "f32", there, k.rem(position, kLanes), column));
  }
  k.storeF32(positions ? 4 : 2, value, k.add(k.mul(row, k.scalar(kLdOut)), column));
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  int part = cpu::configBool(kernel, "positions") ? kPositionBlocks + 1 : kLdOut + 1; // scalars: first row, rows
  k.forEachItem([&](Value item) {
    Value row = k.div(item, k.scalar(kColumns)), column = k.rem(item, k.scalar(kColumns));
    Value id = k.loadIndex(0, row);
    if (!kernel.getFlag("part")) return emitValue(k, kernel, row, column, id);
    Value inPart = k.sub(id, k.scalar(part)); // of an id before the part it wraps around
    k.ifThen(k.less(inPart, k.scalar(part + 1)), [&] { emitValue(k, kernel, row, column, inPart); });
  });
}

} // namespace embed

// ---- map: an elementwise region over rows --------------------------------------------------------------------------
namespace map {

enum Scalars { kRows, kColumns, kVectors, kLdOut, kFirstLd };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kColumns);
  info.grain = kThreads;
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  int rows = int(cpu::configInt(kernel, "rows")), vectors = int(cpu::configInt(kernel, "vectors"));
  k.forEachItem([&](Value item) {
    Value row = k.div(item, k.scalar(kColumns)), column = k.rem(item, k.scalar(kColumns));
    codegen::EpilogueInputs inputs;
    for (int i = 0; i < rows; ++i)
      inputs.rows.push_back(k.loadF32(i, k.add(k.mul(row, k.scalar(kFirstLd + i)), column)));
    for (int i = 0; i < vectors; ++i) inputs.vectors.push_back(k.loadF32(rows + i, column));
    Value result = codegen::emitEpilogue(k, kernel.getEpilogue(), inputs);
    k.storeF32(rows + vectors, result, k.add(k.mul(row, k.scalar(kLdOut)), column));
  });
}

} // namespace map

// ---- cache_write: the step's keys and values into their pages, K transposed ----------------------------------------
namespace cache_write {

enum Scalars { kRows, kLdKey, kLdValue, kKvHeads, kKeyDim, kValueDim, kValuePad, kSequences, kBlocks, kPages };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kKvHeads) * s(kKeyDim) + s(kRows) * s(kKvHeads) * s(kValueDim);
  info.grain = kThreads;
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  llvm::StringRef element = cpu::configString(kernel, "element");
  Value heads = k.scalar(kKvHeads), keyDim = k.scalar(kKeyDim), valueDim = k.scalar(kValueDim);
  PagedCache cache(k, element, 4, k.scalar(kBlocks), heads, keyDim, k.scalar(kValuePad));
  k.forEachItem([&](Value item) {
    Value both = k.add(keyDim, valueDim);
    Value i = k.rem(item, both), head = k.rem(k.div(item, both), heads), row = k.div(k.div(item, both), heads);
    Value position = k.loadIndex(2, row), slot = k.rem(position, kPageTokens);
    Value page = cache.page(k.loadIndex(3, row), k.div(position, kPageTokens));
    Value isKey = k.less(i, keyDim);
    k.ifThen(isKey, [&] {
      Value key = k.loadF32(0, k.add(k.add(k.mul(row, k.scalar(kLdKey)), k.mul(head, keyDim)), i));
      k.storeElement(5, element, key, cache.key(page, head, slot, i));
    });
    k.ifThen(k.less(k.sub(keyDim, k.index(1)), i), [&] {
      Value j = k.sub(i, keyDim);
      Value value = k.loadF32(1, k.add(k.add(k.mul(row, k.scalar(kLdValue)), k.mul(head, valueDim)), j));
      k.storeElement(5, element, value, cache.value(page, head, slot, j));
    });
  });
}

} // namespace cache_write

// ---- rope_table: cosines and sines of every row's position ---------------------------------------------------------
namespace rope_table {

enum Scalars { kRows, kHalf, kHalfPad, kSequences };

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kHalfPad);
  info.grain = kThreads;
}

// n x (pi/2's leading 24 bits) in two parts, exactly (Dekker), for an integer n below 2^24: no device need fuse.
struct Product {
  Value high, low;
};
Product timesHalfPi(GpuBuilder &k, Value n) {
  const float halfPi = 1.57079637050628662109375f;
  const float upper = 1.57080078125f, lower = halfPi - upper; // 12 bits each
  Value nUpper = k.mulf(math::RoundEvenOp::create(k.b, k.mulf(n, k.f32(1.0 / 4096))), k.f32(4096));
  Value nLower = k.subf(n, nUpper), high = k.mulf(n, k.f32(halfPi));
  Value low = k.subf(k.mulf(nUpper, k.f32(upper)), high);
  low = k.addf(low, k.mulf(nUpper, k.f32(lower)));
  low = k.addf(low, k.mulf(nLower, k.f32(upper)));
  low = k.addf(low, k.mulf(nLower, k.f32(lower)));
  return {high, low};
}

// The cosine and sine of an angle of at most 2^22, to about 1e-7: pi/2 in three parts (Cody and Waite), then Taylor
// polynomials on [-pi/4, pi/4].
codegen::CosSin cosSin(GpuBuilder &k, Value x) {
  auto &b = k.b;
  Value n = math::RoundEvenOp::create(b, k.mulf(x, k.f32(0.63661977236758134308)));
  Product product = timesHalfPi(k, n);
  Value r = k.subf(k.subf(x, product.high), product.low);
  r = k.subf(r, k.mulf(n, k.f32(-4.37113900018624283e-8))); // pi/2 less its leading 24 bits
  Value square = k.mulf(r, r);
  auto series = [&](std::initializer_list<double> coefficients) {
    Value sum;
    for (double c : coefficients) sum = sum ? k.fma(sum, square, k.f32(c)) : k.f32(c);
    return sum;
  };
  Value sine = k.fma(k.mulf(series({-1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6}), square), r, r);
  Value cosine = series({-1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5, 1.0});
  // The quadrant n mod 4 swaps the two and turns signs.
  Value quadrant = arith::FPToSIOp::create(b, k.i32Type(), n);
  auto isSet = [&](Value value, int32_t bit) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, value, k.i32(bit)), k.i32(0));
  };
  auto negateIf = [&](Value condition, Value value) {
    return k.select(condition, k.mulf(value, k.f32(-1)), value);
  };
  Value swap = isSet(quadrant, 1), next = arith::AddIOp::create(b, quadrant, k.i32(1));
  return {negateIf(isSet(next, 2), k.select(swap, sine, cosine)),
          negateIf(isSet(quadrant, 2), k.select(swap, cosine, sine))};
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  Value halfPad = k.scalar(kHalfPad), factor = k.f32(cpu::configFloat(kernel, "attention_factor"));
  k.forEachItem([&](Value item) {
    Value row = k.div(item, halfPad), i = k.rem(item, halfPad);
    Value position = arith::SIToFPOp::create(k.b, k.f32Type(), k.loadWord(0, row));
    codegen::CosSin turned = cosSin(k, k.mulf(position, k.loadF32(1, i)));
    Value cosines = k.mul(k.mul(row, halfPad), 2);
    k.storeF32(2, k.mulf(turned.cosine, factor), k.add(cosines, i));
    k.storeF32(2, k.mulf(turned.sine, factor), k.add(k.add(cosines, halfPad), i));
  });
}

} // namespace rope_table

} // namespace

const KindEmitter kEmbed = {"embed", embed::describe, kThreads, embed::emit};
const KindEmitter kMap = {"map", map::describe, kThreads, map::emit};
const KindEmitter kCacheWrite = {"cache_write", cache_write::describe, kThreads, cache_write::emit};
const KindEmitter kRopeTable = {"rope_table", rope_table::describe, kThreads, rope_table::emit};

} // namespace llmc::gpu
