// A linear on matrix units for few tokens: reading the weights is all that takes time. Warps have chains of their own,
// straight from memory, and leave the chains' sums to the workgroup, whose threads add each output's in order.
#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

// Chains at a time: as many as leave 8 KB of sums, but one a warp at least.
int64_t slicesFor(int64_t width, int64_t parts) {
  return MatrixLinear::kWarps * std::max<int64_t>(32 / (width * parts), 1);
}

struct Narrow {
  MatrixLinear &l;
  GpuBuilder &k;
  int64_t width;  // tokens of a tile
  int64_t slices; // chains at a time
  Value memory;   // f32 [slice][part][token][row]
  Value item;
  Values blocks = {};   // where the item's row blocks begin
  Value firstToken = {}; // of the tile

  Value place(Value slice, int64_t part, Value token, Value row) {
    Value tile = k.add(k.mul(slice, l.parts), part);
    return k.add(k.mul(k.add(k.mul(tile, width), token), kLanes), row);
  }

  // The four pairs of a token's columns. Tokens that are missing repeat the last.
  Values loadInput(Value chain, Value first) {
    Value token = k.min(k.add(k.add(firstToken, first), l.group), k.sub(l.x.count, k.index(1)));
    Bf16Tiles::Row row = l.x.row(token);
    Value pair = k.add(k.mul(chain, MatrixLinear::kChain / 2), k.mul(l.member, 4));
    Values x;
    for (int64_t i = 0; i < 4; ++i) x.push_back(k.loadWord(0, l.x.pair(row, k.add(pair, i))));
    return x;
  }

  // One chain of all parts and tokens into the memory; of bf16 weights no column behind the last is read: x is zero there.
  void computeChain(Value chain, Value slice) {
    llvm::SmallVector<std::array<Values, 2>> weights;
    for (Value block : blocks) {
      Value start = l.chainStart(block, chain);
      Value scales, most;
      if (l.scheme)
        scales = k.loadWord(l.kWeight, k.add(l.scaleStart(block, chain), l.group));
      else
        most = k.sub(k.scalar(MatrixLinear::kColumns), k.add(k.mul(chain, MatrixLinear::kChain), 1));
      auto load = [&](Value line, Value word) {
        Value at = most ? k.min(line, most) : line;
        return k.loadWord(l.kWeight, k.add(start, k.add(k.mul(at, l.lineWords()), word)));
      };
      weights.push_back(l.weights(load, scales));
    }
    k.loop(k.index(0), k.index(width), MatrixLinear::kInstruction, [&](Value first) {
      Values x = loadInput(chain, first);
      for (size_t part = 0; part < weights.size(); ++part) {
        Values sum = l.chainSum(weights[part], x);
        for (int64_t i = 0; i < 4; ++i) {
          Value token = k.add(k.add(first, k.mul(l.member, 2)), i % 2);
          k.storeShared(memory, sum[size_t(i)], place(slice, int64_t(part), token, k.add(k.mul(l.group, 2), i / 2)));
        }
      }
    });
  }

  // A thread has a row, and every 8th token.
  Value row() { return k.rem(k.thread(), kLanes); }
  Value token(int64_t i) { return k.add(k.div(k.thread(), kLanes), i * MatrixLinear::kInstruction); }

  Values addUp(Value first, ValueRange totals) {
    Value count = k.min(k.sub(l.chains, first), k.index(slices));
    return k.loop(k.index(0), count, 1, totals, [&](Value slice, ValueRange carried) {
      Values next, scales;
      if (l.scheme)
        for (Value block : blocks) {
          Value word = k.loadWord(l.kWeight, k.add(l.scaleStart(block, k.add(first, slice)), k.div(row(), 2)));
          Value shift = k.toI32(k.mul(k.rem(row(), 2), 16));
          scales.push_back(decodeScale(k, *l.scheme, arith::ShRUIOp::create(k.b, word, shift)).scale);
        }
      for (int64_t i = 0; i < width / MatrixLinear::kInstruction; ++i)
        for (int64_t part = 0; part < l.parts; ++part) {
          Value sum = k.loadShared(memory, place(slice, part, token(i), row()));
          next.push_back(l.addChain(carried[size_t(i * l.parts + part)], sum, l.scheme ? scales[size_t(part)] : Value()));
        }
      return next;
    });
  }

  // All warps go round together, for a product may need all threads: a chain behind the last is the last once more.
  void tile() {
    int64_t own = slices / MatrixLinear::kWarps, outputs = width / MatrixLinear::kInstruction;
    Values totals = k.loop(k.index(0), l.chains, slices, k.zeros(outputs * l.parts), [&](Value first, ValueRange carried) {
      k.loop(k.index(0), k.index(own), 1, [&](Value i) {
        Value slice = k.add(k.mul(l.warp, own), i);
        computeChain(k.min(k.add(first, slice), k.sub(l.chains, k.index(1))), slice);
      });
      k.barrier();
      Values sums = addUp(first, carried);
      k.barrier(); // before the memory is written again
      return sums;
    });
    for (int64_t i = 0; i < outputs; ++i)
      l.output.store(item, k.add(firstToken, token(i)), row(),
                     ValueRange(totals).slice(size_t(i * l.parts), size_t(l.parts)));
  }

  void run() {
    for (int64_t part = 0; part < l.parts; ++part)
      blocks.push_back(l.blockStart(k.add(k.mul(item, l.parts), part)));
    k.loop(k.index(0), l.x.count, width, [&](Value first) {
      firstToken = first;
      tile();
    });
  }
};

} // namespace

void emitMatrixNarrow(MatrixLinear &linear, int64_t width) {
  GpuBuilder &k = linear.k;
  int64_t slices = slicesFor(width, linear.parts);
  Value memory = k.shared(slices * linear.parts * width * kLanes);
  k.forGroupItem([&](Value item) { Narrow{linear, k, width, slices, memory, item}.run(); });
}

} // namespace llmc::gpu
