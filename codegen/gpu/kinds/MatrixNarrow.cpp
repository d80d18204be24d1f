#include "codegen/gpu/kinds/MatrixNarrow.h"

namespace llmc::gpu {

using namespace mlir;

// Chains at a time: as many as leave 8 KB of sums, but one a warp at least.
static int64_t slicesFor(int64_t width, int64_t parts) {
  return MatrixLinear::kWarps * std::max<int64_t>(32 / (width * parts), 1);
}

MatrixNarrow::MatrixNarrow(MatrixLinear &linear, int64_t width)
    : l(linear), k(linear.k), width(width), slices(slicesFor(width, linear.parts)),
      memory(k.shared(slices * linear.parts * width * kLanes)) {}

Value MatrixNarrow::place(Value slice, int64_t part, Value token, Value row) {
  Value tile = k.add(k.mul(slice, l.parts), part);
  return k.add(k.mul(k.add(k.mul(tile, width), token), kLanes), row);
}

void MatrixNarrow::storeSums(ValueRange sums, Value slice, int64_t part, Value first) {
  for (int64_t i = 0; i < 4; ++i) {
    Value token = k.add(k.add(first, k.mul(l.member, 2)), i % 2);
    k.storeShared(memory, sums[size_t(i)], place(slice, part, token, k.add(k.mul(l.group, 2), i / 2)));
  }
}

// Of bf16 weights no column behind the last is read: x is zero there.
llvm::SmallVector<std::array<Values, 2>> MatrixNarrow::loadWeights(Value chain) {
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
  return weights;
}

Values MatrixNarrow::addUp(Value first, ValueRange totals) {
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

void MatrixNarrow::tile() {
  int64_t outputs = width / MatrixLinear::kInstruction;
  begin();
  Values totals = k.loop(k.index(0), l.chains, slices, k.zeros(outputs * l.parts), [&](Value first, ValueRange carried) {
    round(first);
    k.barrier();
    Values sums = addUp(first, carried);
    k.barrier(); // before the memory is written again
    return sums;
  });
  for (int64_t i = 0; i < outputs; ++i)
    l.output.store(item, k.add(firstToken, token(i)), row(), ValueRange(totals).slice(size_t(i * l.parts), size_t(l.parts)));
}

void MatrixNarrow::run() {
  k.forGroupItem([&](Value group) {
    item = group;
    for (int64_t part = 0; part < l.parts; ++part) blocks.push_back(l.blockStart(k.add(k.mul(item, l.parts), part)));
    k.loop(k.index(0), l.x.count, width, [&](Value first) {
      firstToken = first;
      tile();
    });
  });
}

// ---- by products of a warp -------------------------------------------------------------------------------------------

namespace {

class Narrow : public MatrixNarrow {
public:
  Narrow(MatrixLinear &linear, int64_t width) : MatrixNarrow(linear, width) {}

private:
  // The four pairs of a token's columns. Tokens that are missing repeat the last.
  Values loadInput(Value chain, Value first) {
    Value token = k.min(k.add(k.add(firstToken, first), l.group), k.sub(l.x.count, k.index(1)));
    Bf16Tiles::Row row = l.x.row(token);
    Value pair = k.add(k.mul(chain, MatrixLinear::kChain / 2), k.mul(l.member, 4));
    Values x;
    for (int64_t i = 0; i < 4; ++i) x.push_back(k.loadWord(0, l.x.pair(row, k.add(pair, i))));
    return x;
  }

  void round(Value first) override {
    k.loop(k.index(0), k.index(ownChains()), 1, [&](Value own) {
      Value ownChain = chain(first, own);
      auto weights = loadWeights(ownChain);
      k.loop(k.index(0), k.index(width), MatrixLinear::kInstruction, [&](Value token) {
        Values x = loadInput(ownChain, token);
        for (size_t part = 0; part < weights.size(); ++part)
          storeSums(l.chainSum(weights[part], x), slice(own), int64_t(part), token);
      });
    });
  }
};

} // namespace

void emitMatrixNarrow(MatrixLinear &linear, int64_t width) { Narrow(linear, width).run(); }

} // namespace llmc::gpu
