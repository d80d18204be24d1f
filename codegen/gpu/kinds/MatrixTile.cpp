#include "codegen/gpu/kinds/MatrixTile.h"

namespace llmc::gpu {

using namespace mlir;

static constexpr int64_t kScaleWords = 8; // of a row block
static constexpr int64_t kCopyWords = 4;
static constexpr int64_t kMostStages = 4;
static constexpr int64_t kOutputWords = kMatrixWarpBlocks * kLanes + 1; // of a token: without the last, banks would meet

MatrixTile::MatrixTile(MatrixLinear &linear, int64_t tokens, int64_t inputWords, int64_t mostBytes, int64_t outputTokens)
    : l(linear), k(linear.k), tokens(tokens), inputWords(inputWords), outputTokens(outputTokens),
      stages(std::min(mostBytes / 4 / stageWords(), kMostStages)) {
  memory = k.sharedWords(std::max(stages * stageWords(), MatrixLinear::kWarps * outputTokens * kOutputWords));
}

int64_t MatrixTile::scaleWords() const { return l.scheme ? MatrixLinear::kWarps * kBlocks * kScaleWords : 0; }

Value MatrixTile::weightsOf(Value stage, Value block) {
  return k.add(k.add(stage, inputWords), k.mul(k.add(k.mul(l.warp, kBlocks), block), l.chainWords()));
}

Value MatrixTile::scalesOf(Value stage, Value block) {
  Value place = k.mul(k.add(k.mul(l.warp, kBlocks), block), kScaleWords);
  return k.add(k.add(stage, inputWords + weightWords()), place);
}

// ---- copies ----------------------------------------------------------------------------------------------------------

// Of bf16 weights no column behind the last is read: x is zero there.
void MatrixTile::copyWeights(Value chain, Value stage, Value lane) {
  int64_t copies = l.chainWords() / kCopyWords;
  for (int64_t i = 0; i < kBlocks * copies; i += MatrixLinear::kWarp) {
    Value copy = k.add(lane, i), block = k.div(copy, copies), word = k.mul(k.rem(copy, copies), kCopyWords);
    Value start = k.select(k.equal(block, k.index(0)), blocks[0], blocks[1]), to = k.add(weightsOf(stage, block), word);
    if (!l.scheme) {
      Value most = k.sub(k.scalar(MatrixLinear::kColumns), k.add(k.mul(chain, MatrixLinear::kChain), 1));
      Value column = k.min(k.div(word, l.lineWords()), most);
      word = k.add(k.mul(column, l.lineWords()), k.rem(word, l.lineWords()));
    }
    k.copy(kCopyWords, l.kWeight, k.add(l.chainStart(start, chain), word), memory, to);
  }
  if (!l.scheme) return;
  constexpr int64_t kScaleCopies = kScaleWords / kCopyWords;
  k.ifThen(k.less(lane, k.index(kBlocks * kScaleCopies)), [&] {
    Value block = k.div(lane, kScaleCopies), word = k.mul(k.rem(lane, kScaleCopies), kCopyWords);
    Value start = k.select(k.equal(block, k.index(0)), blocks[0], blocks[1]);
    k.copy(kCopyWords, l.kWeight, k.add(l.scaleStart(start, chain), word), memory, k.add(scalesOf(stage, block), word));
  });
}

// A group of copies, which is empty behind the last chain: waits count groups.
void MatrixTile::copyStage(Value chain) {
  k.ifThen(k.less(chain, l.chains), [&] {
    Value to = stage(chain);
    copyInput(chain, to);
    copyWeights(chain, to, k.rem(k.thread(), MatrixLinear::kWarp));
  });
  k.commit();
}

// ---- products --------------------------------------------------------------------------------------------------------

MatrixTile::BlockChain MatrixTile::loadBlock(Value stage, int64_t block) {
  Value start = weightsOf(stage, k.index(block)), word;
  if (l.scheme) word = k.loadSharedWord(memory, k.add(scalesOf(stage, k.index(block)), l.group));
  auto load = [&](Value line, Value word) {
    return k.loadSharedWord(memory, k.add(start, k.add(k.mul(line, l.lineWords()), word)));
  };
  BlockChain chain{l.weights(load, word), {Value(), Value()}};
  if (!l.scheme) return chain;
  Value odd = arith::ShRUIOp::create(k.b, word, k.i32(16));
  chain.scales = {decodeScale(k, *l.scheme, word).scale, decodeScale(k, *l.scheme, odd).scale};
  return chain;
}

Values MatrixTile::multiply() {
  k.loop(k.index(0), k.index(stages - 1), 1, [&](Value chain) { copyStage(chain); });
  Values zeros = k.zeros(tokens / MatrixLinear::kInstruction * kBlocks * 4);
  return k.loop(k.index(0), l.chains, 1, zeros, [&](Value chain, ValueRange totals) {
    k.wait(stages - 2);
    arrived();
    k.barrier(); // every thread's copies are there, and nobody reads the stage that is written next
    copyStage(k.add(chain, stages - 1));
    return addChain(stage(chain), totals);
  });
}

// ---- outputs ---------------------------------------------------------------------------------------------------------

// Through the memory, so that the epilogue is there once and neighbouring threads have neighbouring outputs.
void MatrixTile::store(ValueRange totals, int64_t part) {
  int64_t together = outputTokens / MatrixLinear::kInstruction;
  Value own = k.mul(l.warp, outputTokens * kOutputWords);
  k.barrier();
  for (int64_t product = 0; product < together; ++product)
    for (int64_t block = 0; block < kBlocks; ++block)
      for (int64_t i = 0; i < 4; ++i) {
        Value token = k.add(k.mul(l.member, 2), product * MatrixLinear::kInstruction + i % 2);
        Value row = k.add(k.mul(l.group, 2), block * kLanes + i / 2);
        int64_t from = ((part * together + product) * kBlocks + block) * 4 + i;
        k.storeSharedWord(memory, arith::BitcastOp::create(k.b, k.i32Type(), totals[size_t(from)]),
                          k.add(own, k.add(k.mul(token, kOutputWords), row)));
      }
  k.barrier();
  int64_t outputs = kBlocks * kLanes / l.parts; // of a token
  k.loop(k.rem(k.thread(), MatrixLinear::kWarp), k.index(outputTokens * outputs), MatrixLinear::kWarp, [&](Value i) {
    Value token = k.div(i, outputs), output = k.rem(i, outputs);
    Values accumulators;
    for (int64_t p = 0; p < l.parts; ++p) {
      Value at = k.add(k.add(own, k.mul(token, kOutputWords)), k.add(output, p * kLanes));
      accumulators.push_back(arith::BitcastOp::create(k.b, k.f32Type(), k.loadSharedWord(memory, at)));
    }
    Value item = k.add(k.mul(unit, kBlocks / l.parts), k.div(output, kLanes));
    l.output.store(item, k.add(k.add(first, part * outputTokens), token), k.rem(output, kLanes), accumulators);
  });
}

// ---- tiles -----------------------------------------------------------------------------------------------------------

// Row blocks behind the last are the last once more, whose outputs are not stored.
void MatrixTile::tile(Value units, Value token) {
  first = token;
  unit = k.add(units, l.warp);
  Value last = k.sub(k.mul(k.scalar(MatrixLinear::kBlocks), l.parts), k.index(1));
  blocks.clear();
  for (int64_t i = 0; i < kBlocks; ++i)
    blocks.push_back(l.blockStart(k.min(k.add(k.mul(unit, kBlocks), i), last)));
  k.barrier(); // the tile before has been stored
  Values totals = multiply();
  for (int64_t part = 0; part < tokens / outputTokens; ++part) store(totals, part);
}

// A workgroup that has more tiles than workgroups' worth of items goes on to the next. Tiles of the same weights come one
// after the other.
void MatrixTile::run() {
  k.ifThen(k.less(k.index(0), k.items()), [&] {
    auto ceil = [&](Value value, int64_t unit) { return k.div(k.add(value, unit - 1), unit); };
    Value tokenTiles = ceil(k.scalar(MatrixLinear::kRows), tokens);
    Value units = ceil(k.scalar(MatrixLinear::kBlocks), kBlocks / l.parts);
    Value tiles = k.mul(tokenTiles, ceil(units, MatrixLinear::kWarps));
    k.loop(k.group(), tiles, k.groups(), [&](Value index) {
      tile(k.mul(k.div(index, tokenTiles), MatrixLinear::kWarps), k.mul(k.rem(index, tokenTiles), tokens));
    });
  });
}

} // namespace llmc::gpu
