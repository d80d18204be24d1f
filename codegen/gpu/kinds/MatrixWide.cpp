// A linear on matrix units for many tokens. A workgroup has a tile of four warps' row blocks and 64 tokens; x, weights and
// scales of a chain are a stage of the workgroup's memory, and stages to come are copied while one is multiplied.
#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr int64_t kTokens = kMatrixTileTokens, kBlocks = kMatrixWarpBlocks;
constexpr int64_t kProducts = kTokens / MatrixLinear::kInstruction; // of a row block and a chain, side by side
constexpr int64_t kPairWords = kTokens + 8; // of a pair of columns: the four members' reads lie in banks of their own
constexpr int64_t kInputWords = MatrixLinear::kChain / 2 * kPairWords;
constexpr int64_t kScaleWords = 8; // of a row block
constexpr int64_t kCopyWords = 4;
constexpr int64_t kMemoryWords = 26 * 1024 / 4; // what stages may take: two workgroups have room on every chip
constexpr int64_t kOutputTokens = 32;           // that leave through the memory at a time
constexpr int64_t kOutputWords = kBlocks * kLanes + 1; // of a token: without the last, banks would meet

struct Wide {
  MatrixLinear &l;
  GpuBuilder &k;
  int64_t stages;
  Value memory = {};    // words; [stage] {x [pair of 8 columns][8 columns][token], weights [warp][block], scales alike}
  Value first = {};     // token of the tile
  Value unit = {};      // of the warp: an item, or two without a gate
  Values blocks = {};   // where its row blocks begin

  explicit Wide(MatrixLinear &linear) : l(linear), k(linear.k), stages(std::min<int64_t>(kMemoryWords / stageWords(), 4)) {
    memory = k.sharedWords(std::max(stages * stageWords(), MatrixLinear::kWarps * kOutputTokens * kOutputWords));
  }

  int64_t weightWords() const { return MatrixLinear::kWarps * kBlocks * l.chainWords(); }
  int64_t stageWords() const {
    return kInputWords + weightWords() + (l.scheme ? MatrixLinear::kWarps * kBlocks * kScaleWords : 0);
  }
  Value stage(Value chain) { return k.mul(k.rem(chain, stages), stageWords()); }
  Value weightsOf(Value stage, Value block) {
    return k.add(k.add(stage, kInputWords), k.mul(k.add(k.mul(l.warp, kBlocks), block), l.chainWords()));
  }
  Value scalesOf(Value stage, Value block) {
    Value place = k.mul(k.add(k.mul(l.warp, kBlocks), block), kScaleWords);
    return k.add(k.add(stage, kInputWords + weightWords()), place);
  }

  // ---- copies --------------------------------------------------------------------------------------------------------

  // Four tokens' pairs of columns. A tile of 16 tokens that is not whole has other distances, and is copied by words;
  // tokens that are missing repeat the last ones.
  void copyInput(Value chain, Value stage, Value copy) {
    Value quad = k.rem(copy, kTokens / kCopyWords), pair = k.div(copy, kTokens / kCopyWords);
    Value to = k.add(k.mul(k.rem(pair, 4), 4), k.div(pair, 4)); // pair i of all members, then pair i + 1
    to = k.add(k.add(stage, k.mul(to, kPairWords)), k.mul(quad, kCopyWords));
    Value last = k.sub(l.x.count, k.index(1)), token = k.add(first, k.mul(quad, kCopyWords));
    Bf16Tiles::Row row = l.x.row(k.min(token, k.sub(last, k.rem(last, kCopyWords))));
    Value all = k.add(k.mul(chain, MatrixLinear::kChain / 2), pair);
    k.ifElse(
        k.less(row.rows, k.index(Bf16Tiles::kTileRows)), TypeRange(),
        [&] {
          for (int64_t i = 0; i < kCopyWords; ++i)
            k.copy(1, 0, l.x.pair(l.x.further(row, k.index(i)), all), memory, k.add(to, i));
          return Values();
        },
        [&] {
          row.rows = k.index(Bf16Tiles::kTileRows);
          k.copy(kCopyWords, 0, l.x.pair(row, all), memory, to);
          return Values();
        });
  }

  // Of bf16 weights no column behind the last is read: x is zero there.
  void copyWeights(Value chain, Value stage, Value lane) {
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
  void copyStage(Value chain) {
    k.ifThen(k.less(chain, l.chains), [&] {
      Value to = stage(chain);
      constexpr int64_t kCopies = MatrixLinear::kChain / 2 * kTokens / kCopyWords;
      for (int64_t i = 0; i < kCopies; i += MatrixLinear::kThreads) copyInput(chain, to, k.add(k.thread(), i));
      copyWeights(chain, to, k.rem(k.thread(), MatrixLinear::kWarp));
    });
    k.commit();
  }

  // ---- products ------------------------------------------------------------------------------------------------------

  // Of rows 2 group and 2 group + 1.
  Values rowScales(Value word) {
    if (!l.scheme) return {Value(), Value()};
    Value odd = arith::ShRUIOp::create(k.b, word, k.i32(16));
    return {decodeScale(k, *l.scheme, word).scale, decodeScale(k, *l.scheme, odd).scale};
  }

  // Totals are [product][block][4 numbers].
  Values addChain(Value stage, ValueRange totals) {
    llvm::SmallVector<std::array<Values, 2>> weights;
    llvm::SmallVector<Values> scales;
    for (int64_t block = 0; block < kBlocks; ++block) {
      Value start = weightsOf(stage, k.index(block)), word;
      if (l.scheme) word = k.loadSharedWord(memory, k.add(scalesOf(stage, k.index(block)), l.group));
      auto load = [&](Value line, Value word) {
        return k.loadSharedWord(memory, k.add(start, k.add(k.mul(line, l.lineWords()), word)));
      };
      weights.push_back(l.weights(load, word));
      scales.push_back(rowScales(word));
    }
    Values next;
    for (int64_t product = 0; product < kProducts; ++product) {
      Values x;
      for (int64_t i = 0; i < 4; ++i) {
        Value pair = k.mul(k.add(l.member, 4 * i), kPairWords);
        x.push_back(k.loadSharedWord(memory, k.add(k.add(stage, pair), k.add(l.group, product * MatrixLinear::kInstruction))));
      }
      for (int64_t block = 0; block < kBlocks; ++block) {
        Values sum = l.chainSum(weights[size_t(block)], x);
        for (int64_t i = 0; i < 4; ++i)
          next.push_back(l.addChain(totals[next.size()], sum[size_t(i)], scales[size_t(block)][size_t(i / 2)]));
      }
    }
    return next;
  }

  Values multiply() {
    k.loop(k.index(0), k.index(stages - 1), 1, [&](Value chain) { copyStage(chain); });
    return k.loop(k.index(0), l.chains, 1, k.zeros(kProducts * kBlocks * 4), [&](Value chain, ValueRange totals) {
      k.wait(stages - 2);
      k.barrier(); // every thread's copies are there, and nobody reads the stage that is written next
      copyStage(k.add(chain, stages - 1));
      return addChain(stage(chain), totals);
    });
  }

  // ---- outputs -------------------------------------------------------------------------------------------------------

  // Through the memory, so that the epilogue is there once and neighbouring threads have neighbouring outputs.
  void store(ValueRange totals, int64_t part) {
    constexpr int64_t kTogether = kOutputTokens / MatrixLinear::kInstruction;
    Value own = k.mul(l.warp, kOutputTokens * kOutputWords);
    k.barrier();
    for (int64_t product = 0; product < kTogether; ++product)
      for (int64_t block = 0; block < kBlocks; ++block)
        for (int64_t i = 0; i < 4; ++i) {
          Value token = k.add(k.mul(l.member, 2), product * MatrixLinear::kInstruction + i % 2);
          Value row = k.add(k.mul(l.group, 2), block * kLanes + i / 2);
          int64_t from = ((part * kTogether + product) * kBlocks + block) * 4 + i;
          k.storeSharedWord(memory, arith::BitcastOp::create(k.b, k.i32Type(), totals[size_t(from)]),
                            k.add(own, k.add(k.mul(token, kOutputWords), row)));
        }
    k.barrier();
    int64_t outputs = kBlocks * kLanes / l.parts; // of a token
    k.loop(k.rem(k.thread(), MatrixLinear::kWarp), k.index(kOutputTokens * outputs), MatrixLinear::kWarp, [&](Value i) {
      Value token = k.div(i, outputs), output = k.rem(i, outputs);
      Values accumulators;
      for (int64_t p = 0; p < l.parts; ++p) {
        Value at = k.add(k.add(own, k.mul(token, kOutputWords)), k.add(output, p * kLanes));
        accumulators.push_back(arith::BitcastOp::create(k.b, k.f32Type(), k.loadSharedWord(memory, at)));
      }
      Value item = k.add(k.mul(unit, kBlocks / l.parts), k.div(output, kLanes));
      l.output.store(item, k.add(k.add(first, part * kOutputTokens), token), k.rem(output, kLanes), accumulators);
    });
  }

  // Row blocks behind the last are the last once more, whose outputs are not stored.
  void tile(Value units, Value token) {
    first = token;
    unit = k.add(units, l.warp);
    Value last = k.sub(k.mul(k.scalar(MatrixLinear::kBlocks), l.parts), k.index(1));
    blocks.clear();
    for (int64_t i = 0; i < kBlocks; ++i)
      blocks.push_back(l.blockStart(k.min(k.add(k.mul(unit, kBlocks), i), last)));
    k.barrier(); // the tile before has been stored
    Values totals = multiply();
    for (int64_t part = 0; part < kTokens / kOutputTokens; ++part) store(totals, part);
  }
};

} // namespace

// A work item is a row block and a token, of which a workgroup has as many as a tile; one that has more tiles than
// workgroups' worth of items goes on to the next. Tiles of the same weights come one after the other.
void emitMatrixWide(MatrixLinear &linear) {
  GpuBuilder &k = linear.k;
  Wide wide(linear);
  k.ifThen(k.less(k.index(0), k.items()), [&] {
    auto ceil = [&](Value value, int64_t unit) { return k.div(k.add(value, unit - 1), unit); };
    Value tokenTiles = ceil(k.scalar(MatrixLinear::kRows), kTokens);
    Value units = ceil(k.scalar(MatrixLinear::kBlocks), kBlocks / linear.parts);
    Value tiles = k.mul(tokenTiles, ceil(units, MatrixLinear::kWarps));
    k.loop(k.group(), tiles, k.groups(), [&](Value tile) {
      wide.tile(k.mul(k.div(tile, tokenTiles), MatrixLinear::kWarps), k.mul(k.rem(tile, tokenTiles), kTokens));
    });
  });
}

} // namespace llmc::gpu
