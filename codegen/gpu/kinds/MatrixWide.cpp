// A linear for many tokens by products of a warp: tiles of 64 tokens.
#include "codegen/gpu/kinds/MatrixTile.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr int64_t kTokens = kMatrixTileTokens;
constexpr int64_t kPairWords = kTokens + 8; // of a pair of columns: the four members' reads lie in banks of their own
constexpr int64_t kInputWords = MatrixLinear::kChain / 2 * kPairWords;
constexpr int64_t kCopyWords = 4;
constexpr int64_t kMostBytes = 26 * 1024; // two workgroups have room on every chip

class Wide : public MatrixTile {
public:
  explicit Wide(MatrixLinear &linear) : MatrixTile(linear, kTokens, kInputWords, kMostBytes, kTokens / 2) {}

private:
  // x of a stage: [pair of 8 columns][8 columns][token].
  void copyInput(Value chain, Value stage) override {
    constexpr int64_t kCopies = MatrixLinear::kChain / 2 * kTokens / kCopyWords;
    for (int64_t i = 0; i < kCopies; i += MatrixLinear::kThreads) copyTokens(chain, stage, k.add(k.thread(), i));
  }

  // Four tokens' pairs of columns. A tile of 16 tokens that is not whole has other distances, and is copied by words;
  // tokens that are missing repeat the last ones.
  void copyTokens(Value chain, Value stage, Value copy) {
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

  Values addChain(Value stage, ValueRange totals) override {
    llvm::SmallVector<BlockChain> own;
    for (int64_t block = 0; block < kBlocks; ++block) own.push_back(loadBlock(stage, block));
    Values next;
    for (int64_t product = 0; product < kTokens / MatrixLinear::kInstruction; ++product) {
      Values x;
      for (int64_t i = 0; i < 4; ++i) {
        Value pair = k.mul(k.add(l.member, 4 * i), kPairWords);
        x.push_back(k.loadSharedWord(memory, k.add(k.add(stage, pair), k.add(l.group, product * MatrixLinear::kInstruction))));
      }
      for (const BlockChain &block : own) {
        Values sum = l.chainSum(block.weights, x);
        for (int64_t i = 0; i < 4; ++i)
          next.push_back(l.addChain(totals[next.size()], sum[size_t(i)], block.scales[size_t(i / 2)]));
      }
    }
    return next;
  }
};

} // namespace

void emitMatrixWide(MatrixLinear &linear) { Wide(linear).run(); }

} // namespace llmc::gpu
