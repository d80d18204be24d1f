// linear: y = x W^T with an epilogue. A workgroup has one row block (16 outputs) as lanes and 8 slices of the columns:
// a slice computes whole fma chains of 32 columns, and the chains' sums are added in the order of llm.linear, so that
// the result does not depend on how many threads there are. On int8 rows it is LinearInt8.cpp's, on bf16 rows
// MatrixLinear.h's.
#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

enum Scalars { kRows, kColumns, kOutputs, kBlocks, kChunks, kLdX, kLdOut, kFirstLd };

constexpr int64_t kChain = 32; // columns of one fma chain

// What stands for matrix units is no faster in wide tiles: they cost a compiler's time and a workgroup's memory.
void describeMatrix(int64_t parts, MatrixUnits matrixUnits, KernelInfo &info) {
  if (matrixUnits == MatrixUnits::None) {
    info.variants = {{0, 8, 8}, {9, INT64_MAX, 16}};
    return;
  }
  info.operands[0].alignment = 16; // of a wide tile's copies of x
  VariantInfo wide{kMostNarrowTokens + 1, INT64_MAX, int(kMatrixTileTokens), s(kBlocks) * s(kRows)};
  wide.grain = uint32_t(MatrixLinear::kWarps * kMatrixWarpBlocks / parts * kMatrixTileTokens);
  info.variants = {{0, 8, 8}, {9, 16, 16}, {17, kMostNarrowTokens, int(kMostNarrowTokens)}, wide};
}

void describe(exec::KernelOp kernel, MatrixUnits matrixUnits, KernelInfo &info) {
  info.items = s(kBlocks);
  info.grain = 1;
  if (cpu::configString(kernel, "activations") == "bf16")
    return describeMatrix(cpu::configBool(kernel, "gated") ? 2 : 1, matrixUnits, info);
  info.variants = {{0, 1, 1}, {2, INT64_MAX, int(kSlices)}};
}

struct Linear {
  GpuBuilder &k;
  LinearOutput output;
  const Scheme *scheme;
  llvm::StringRef element;
  int64_t parts; // accumulators of an output: 2 where gated
  int64_t width; // rows of x computed together
  Value lane, slice, memory; // memory: [slice][row of the tile x part][lane]

  int weight() const { return 1; }
  Value place(Value slice, int64_t row, int64_t part) {
    return k.add(k.mul(k.add(k.mul(slice, width * parts), row * parts + part), kLanes), lane);
  }
  Value placeOfOwn(Value slice, Value row, int64_t part) {
    Value cell = k.add(k.mul(k.add(k.mul(slice, width), row), parts), part);
    return k.add(k.mul(cell, kLanes), lane);
  }

  // One column into the chains of all rows and parts: sum += x w.
  void column(Values &sums, llvm::ArrayRef<Value> weights, llvm::ArrayRef<Value> xs, Value at) {
    for (int64_t row = 0; row < width; ++row) {
      Value x = k.loadF32(0, k.add(xs[size_t(row)], at));
      for (int64_t part = 0; part < parts; ++part) {
        Value &sum = sums[size_t(row * parts + part)];
        sum = k.fma(weights[size_t(part)], x, sum);
      }
    }
  }

  // A chain that is not whole, column by column.
  Values shortChain(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Value> xs, Value begin, Value end) {
    return k.loop(begin, end, 1, k.zeros(width * parts), [&](Value at, ValueRange carried) {
      Values sums(carried), weights;
      for (Value block : blocks) weights.push_back(loadMatrix(k, weight(), scheme, element, block, lane, at));
      column(sums, weights, xs, at);
      return sums;
    });
  }

  Values wholeChain(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Value> xs, Value begin) {
    if (scheme) return quantizedChain(blocks, xs, begin);
    constexpr int64_t kUnroll = 4;
    return k.loop(begin, k.add(begin, kChain), kUnroll, k.zeros(width * parts), [&](Value at, ValueRange carried) {
      Values sums(carried);
      for (int64_t i = 0; i < kUnroll; ++i) {
        Value here = k.add(at, i);
        Values weights;
        for (Value block : blocks) weights.push_back(loadMatrix(k, weight(), nullptr, element, block, lane, here));
        column(sums, weights, xs, here);
      }
      return sums;
    });
  }

  // A word holds 8 columns of 4 bits or 4 of 8; groups are whole multiples of that, so a word has one scale.
  Values quantizedChain(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Value> xs, Value begin) {
    int64_t perWord = scheme->bits == 4 ? 8 : 4;
    return k.loop(begin, k.add(begin, kChain), perWord, k.zeros(width * parts), [&](Value at, ValueRange carried) {
      Value chunkIndex = k.div(at, scheme->columns_per_chunk()), within = k.rem(at, scheme->columns_per_chunk());
      Values sums(carried), words;
      llvm::SmallVector<GroupScale> scales;
      for (Value block : blocks) {
        Value chunk = k.add(block, k.mul(chunkIndex, scheme->chunk_bytes() / 4));
        scales.push_back(loadScale(k, weight(), *scheme, chunk, within, lane));
        Value line = k.add(k.add(chunk, 16), k.mul(k.div(within, perWord), 16));
        words.push_back(k.loadWord(weight(), k.add(line, lane)));
      }
      for (int64_t i = 0; i < perWord; ++i) {
        Values weights;
        Value shift = k.i32(int32_t(8 * (i % 4) + 4 * (i / 4)));
        for (size_t part = 0; part < blocks.size(); ++part)
          weights.push_back(dequantize(k, *scheme, words[part], shift, scales[part]));
        column(sums, weights, xs, k.add(at, i));
      }
      return sums;
    });
  }

  // Chains `chain`, `chain` + 1, ... of all slices into shared memory.
  void computeChain(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Value> xs, Value chain) {
    Value columns = k.scalar(kColumns), begin = k.mul(chain, kChain);
    llvm::SmallVector<Type> types(size_t(width * parts), k.f32Type());
    Values sums = k.ifElse(
        k.less(columns, k.add(begin, kChain)), types,
        [&] { return shortChain(blocks, xs, begin, columns); }, [&] { return wholeChain(blocks, xs, begin); });
    for (int64_t row = 0; row < width; ++row)
      for (int64_t part = 0; part < parts; ++part)
        k.storeShared(memory, sums[size_t(row * parts + part)], place(slice, row, part));
  }

  // The tile's sums: those of row `slice` of the tile and output `lane`, if slice < width.
  Values accumulate(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Value> xs) {
    Value chains = k.div(k.add(k.scalar(kColumns), kChain - 1), kChain);
    return k.loop(k.index(0), chains, kSlices, k.zeros(parts), [&](Value first, ValueRange carried) {
      Value own = k.add(first, slice);
      k.ifThen(k.less(own, chains), [&] { computeChain(blocks, xs, own); });
      k.barrier();
      Value end = k.min(k.sub(chains, first), k.index(kSlices)), row = k.min(slice, k.index(width - 1));
      Values sums = k.loop(k.index(0), end, 1, carried, [&](Value i, ValueRange totals) {
        Values next;
        for (int64_t part = 0; part < parts; ++part)
          next.push_back(k.addf(totals[size_t(part)], k.loadShared(memory, placeOfOwn(i, row, part))));
        return next;
      });
      k.barrier(); // before the memory is written again
      return sums;
    });
  }

  void tile(Value item, Value first) {
    Values blocks, xs;
    Value words = blockWords(k, scheme, element, scheme ? k.scalar(kChunks) : k.scalar(kColumns));
    for (int64_t part = 0; part < parts; ++part)
      blocks.push_back(k.mul(k.add(k.mul(item, parts), part), words));
    // Rows past the last one repeat it; their results are not stored.
    Value last = k.sub(k.scalar(kRows), k.index(1));
    for (int64_t i = 0; i < width; ++i)
      xs.push_back(k.mul(i == 0 ? first : k.min(k.add(first, i), last), k.scalar(kLdX)));
    Values sums = accumulate(blocks, xs);
    k.ifThen(k.less(slice, k.index(width)), [&] { output.store(item, k.add(first, slice), lane, sums); });
  }
};

void emitMatrix(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  MatrixLinear linear(k, kernel);
  bool isWide = variant.firstRows > kMostNarrowTokens;
  if (k.matrixUnits() == MatrixUnits::Warpgroup)
    return isWide ? emitWarpgroupWide(linear) : emitWarpgroupNarrow(linear, variant.width);
  return isWide ? emitMatrixWide(linear) : emitMatrixNarrow(linear, variant.width);
}

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  if (cpu::configString(kernel, "activations") == "int8") return emitInt8Linear(k, kernel, variant);
  if (cpu::configString(kernel, "activations") == "bf16") return emitMatrix(k, kernel, variant);
  int64_t parts = cpu::configBool(kernel, "gated") ? 2 : 1;
  Linear linear{k,
                LinearOutput(k, kernel, 2),
                configScheme(kernel),
                cpu::configString(kernel, "element"),
                parts,
                variant.width,
                k.rem(k.thread(), kLanes),
                k.div(k.thread(), kLanes),
                k.shared(kSlices * variant.width * parts * kLanes)};
  k.forGroupItem([&](Value item) {
    if (variant.lastRows <= 1) return linear.tile(item, k.index(0));
    k.loop(k.index(0), k.scalar(kRows), variant.width, [&](Value first) { linear.tile(item, first); });
  });
}

} // namespace

void LinearOutput::store(Value item, Value row, Value lane, ValueRange sums) {
  Value output = k.add(k.mul(item, kLanes), lane);
  k.ifThen(k.logicalAnd(k.less(output, k.scalar(kOutputs)), k.less(row, k.scalar(kRows))), [&] {
    codegen::EpilogueInputs inputs;
    inputs.accumulators.assign(sums.begin(), sums.end());
    for (int i = 0; i < rows; ++i)
      inputs.rows.push_back(k.loadF32(firstRow + i, k.add(k.mul(row, k.scalar(kFirstLd + i)), output)));
    for (int i = 0; i < vectors; ++i)
      for (size_t part = 0; part < sums.size(); ++part) {
        Value block = k.add(k.mul(item, int64_t(sums.size())), int64_t(part));
        inputs.vectors.push_back(k.loadF32(firstRow + rows + i, k.add(k.mul(block, kLanes), lane)));
      }
    Value result = codegen::emitEpilogue(k, kernel.getEpilogue(), inputs);
    k.storeF32(firstRow + rows + vectors, result, k.add(k.mul(row, k.scalar(kLdOut)), output));
  });
}

static_assert(kLanes * kSlices == MatrixLinear::kThreads);
const KindEmitter kLinear = {"linear", describe, kLanes * kSlices, emit};

} // namespace llmc::gpu
