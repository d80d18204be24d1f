// The linear on int8 inputs: an exact int32 dot in each weight group, an fma chain over the weight scales of the groups in
// 128 columns (a part), an fma chain over the activation scales of the parts. An affine scheme's offset times the sum of the
// group's inputs is added to the dot, exactly, before the scale. A workgroup has one row block (16 outputs)
// as lanes and 8 slices: a slice computes whole parts, and parts are added in their order, as the CPU does.
#include "codegen/gpu/kinds/RowTiles.h"
#include "codegen/gpu/kinds/LinearOutput.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::VariantInfo;

namespace {

enum Scalars { kRows, kColumns, kOutputs, kBlocks, kChunks, kLdX, kLdOut, kFirstLd };
enum Operands { kQ, kCorr, kScale, kWeight, kFirstRow };

struct Int8Linear {
  GpuBuilder &k;
  const Scheme &scheme;
  LinearOutput output;
  int64_t parts; // accumulators of an output: 2 where gated
  int64_t width; // rows of x computed together
  Value lane, slice, memory; // memory: [slice][row of the strip x part][lane]
  Int8Tiles tiles;

  int64_t bytesPerWord() const { return scheme.bits == 4 ? 2 : 1; } // words of x that a weight's word meets

  Value place(Value slice, Value row, int64_t part) {
    return k.add(k.mul(k.add(k.mul(k.add(k.mul(slice, width), row), parts), part), kLanes), lane);
  }

  // A weight's word as words of signed bytes, of four columns each.
  Values signedBytes(Value word) {
    if (scheme.bits == 8) return {arith::XOrIOp::create(k.b, word, k.i32(int32_t(0x80808080)))}; // u - 128
    Value high = arith::ShRUIOp::create(k.b, word, k.i32(4));
    return {arith::AndIOp::create(k.b, word, k.i32(0x0f0f0f0f)), arith::AndIOp::create(k.b, high, k.i32(0x0f0f0f0f))};
  }

  // The dots of group `group`: rows by parts. Those of 4-bit weights are u q, and corr makes them (u - 8) q.
  Values groupDots(llvm::ArrayRef<Value> lines, llvm::ArrayRef<Int8Tiles::Row> rows, Value group) {
    Values dots;
    for (const Int8Tiles::Row &row : rows) {
      Value start = scheme.bits == 4 ? k.loadWord(kCorr, tiles.corr(row, group)) : k.i32(0);
      dots.append(size_t(parts), start);
    }
    int64_t count = scheme.group / (4 * bytesPerWord());
    return k.loop(k.index(0), k.index(count), 1, dots, [&](Value line, ValueRange carried) {
      Values sums(carried);
      llvm::SmallVector<Values> weights;
      for (Value first : lines)
        weights.push_back(signedBytes(k.loadWord(kWeight, k.add(first, k.mul(line, kLanes)))));
      Value quad = k.add(k.mul(group, scheme.group / 4), k.mul(line, bytesPerWord()));
      for (auto [i, row] : llvm::enumerate(rows))
        for (int64_t word = 0; word < bytesPerWord(); ++word) {
          Value x = k.loadWord(kQ, tiles.q(row, k.add(quad, word)));
          for (int64_t part = 0; part < parts; ++part) {
            Value &sum = sums[i * size_t(parts) + size_t(part)];
            sum = k.dot4(weights[size_t(part)][size_t(word)], x, sum);
          }
        }
      return sums;
    });
  }

  // Of a row's inputs in a group: corr is -zero times that.
  Value inputSum(const Int8Tiles::Row &row, Value group) {
    Value corr = arith::SIToFPOp::create(k.b, k.f32Type(), k.loadWord(kCorr, tiles.corr(row, group)));
    return k.mulf(corr, k.f32(-1.0 / scheme.zero));
  }

  // One part of all rows, into shared memory.
  void computePart(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Int8Tiles::Row> rows, Value part) {
    int64_t groups = Int8Tiles::kRunColumns / scheme.group;
    Value first = k.mul(part, groups), end = k.min(k.add(first, groups), k.mul(k.scalar(kChunks), 2));
    Values sums = k.loop(first, end, 1, k.zeros(width * parts), [&](Value group, ValueRange carried) {
      Values lines, next(carried);
      llvm::SmallVector<GroupScale> scales;
      Value inChunk = k.rem(group, 2);
      for (Value block : blocks) {
        Value chunk = k.add(block, k.mul(k.div(group, 2), scheme.chunk_bytes() / 4));
        scales.push_back(loadScale(k, kWeight, scheme, chunk, k.mul(inChunk, scheme.group), lane));
        Value ofGroup = k.mul(inChunk, scheme.group / (4 * bytesPerWord()) * kLanes);
        lines.push_back(k.add(k.add(k.add(chunk, 16), ofGroup), lane)); // behind 16 words of scales
      }
      for (auto [i, dot] : llvm::enumerate(groupDots(lines, rows, group))) {
        const GroupScale &scale = scales[i % size_t(parts)];
        Value sum = arith::SIToFPOp::create(k.b, k.f32Type(), dot);
        if (scale.offset) sum = k.fma(scale.offset, inputSum(rows[i / size_t(parts)], group), sum);
        next[i] = k.fma(sum, scale.scale, next[i]);
      }
      return next;
    });
    for (int64_t row = 0; row < width; ++row)
      for (int64_t i = 0; i < parts; ++i)
        k.storeShared(memory, sums[size_t(row * parts + i)], place(slice, k.index(row), i));
  }

  // The sums of row `slice` of the strip and output `lane`, if slice < width.
  Values accumulate(llvm::ArrayRef<Value> blocks, llvm::ArrayRef<Int8Tiles::Row> rows) {
    Value count = tiles.runs;
    Value own = k.min(slice, k.index(width - 1)); // others compute what is not used
    Int8Tiles::Row ownRow = tiles.further(rows.front(), own);
    return k.loop(k.index(0), count, kSlices, k.zeros(parts), [&](Value from, ValueRange carried) {
      Value part = k.add(from, slice);
      k.ifThen(k.less(part, count), [&] { computePart(blocks, rows, part); });
      k.barrier();
      Value end = k.min(k.sub(count, from), k.index(kSlices));
      Values sums = k.loop(k.index(0), end, 1, carried, [&](Value i, ValueRange totals) {
        Value factor = k.loadF32(kScale, tiles.scale(ownRow, k.add(from, i)));
        Values next;
        for (int64_t part = 0; part < parts; ++part)
          next.push_back(k.fma(k.loadShared(memory, place(i, own, part)), factor, totals[size_t(part)]));
        return next;
      });
      k.barrier(); // before the memory is written again
      return sums;
    });
  }

  void strip(Value item, Value first) {
    Values blocks;
    Value words = blockWords(k, &scheme, "", k.scalar(kChunks));
    for (int64_t part = 0; part < parts; ++part)
      blocks.push_back(k.mul(k.add(k.mul(item, parts), part), words));
    // All in one tile, for a strip begins at a multiple of its width. Rows past the last one repeat it; their results are
    // not stored.
    llvm::SmallVector<Int8Tiles::Row> rows{tiles.row(first)};
    for (int64_t i = 1; i < width; ++i) rows.push_back(tiles.further(rows.front(), k.index(i)));
    Values sums = accumulate(blocks, rows);
    k.ifThen(k.less(slice, k.index(width)), [&] { output.store(item, k.add(first, slice), lane, sums); });
  }
};

} // namespace

void emitInt8Linear(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  int64_t parts = cpu::configBool(kernel, "gated") ? 2 : 1;
  const Scheme &scheme = *configScheme(kernel);
  LinearOutput output(k, kernel, kFirstRow);
  Int8Linear linear{k,
                    scheme,
                    output,
                    parts,
                    variant.width,
                    k.rem(k.thread(), kLanes),
                    k.div(k.thread(), kLanes),
                    k.shared(kSlices * variant.width * parts * kLanes),
                    Int8Tiles(k, scheme, k.scalar(kRows), k.scalar(kChunks), k.scalar(kFirstLd + output.rows))};
  k.forGroupItem([&](Value item) {
    if (variant.lastRows <= 1) return linear.strip(item, k.index(0));
    k.loop(k.index(0), k.scalar(kRows), variant.width, [&](Value first) { linear.strip(item, first); });
  });
}

} // namespace llmc::gpu
