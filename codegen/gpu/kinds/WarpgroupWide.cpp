// A linear for many tokens by products of a warpgroup: tiles of 64 tokens.
#include "codegen/gpu/kinds/MatrixTile.h"
#include "codegen/gpu/kinds/WarpgroupInput.h"
#include "codegen/gpu/ops/Chip.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr int64_t kTokens = kMatrixTileTokens;
static_assert(kTokens == WarpgroupInput::kProductTokens);
constexpr int64_t kMostBytes = 48 * 1024; // what a workgroup has without asking for more; two have room

class Wide : public MatrixTile {
public:
  explicit Wide(MatrixLinear &linear)
      : MatrixTile(linear, kTokens, WarpgroupInput::kProductWords, kMostBytes, kTokens / 2), x(linear, memory) {}

private:
  // A warp copies its unit of all tokens. Those that are missing in an eight repeat the last; an eight without any is left
  // as it was.
  void copyInput(Value chain, Value stage) override {
    static_assert(MatrixLinear::kWarps == WarpgroupInput::kUnits);
    constexpr int64_t kEights = kTokens / WarpgroupInput::kEight, kOfTile = Bf16Tiles::kTileRows / WarpgroupInput::kEight;
    auto copy = [&](const Bf16Tiles::Row &row, Value eight) {
      x.copy(chain, row, l.warp, k.add(stage, k.mul(eight, WarpgroupInput::kEightWords)));
    };
    k.ifElse(
        k.less(l.x.count, k.add(first, kTokens)), TypeRange(),
        [&] {
          Value left = k.div(k.add(k.sub(l.x.count, first), WarpgroupInput::kEight - 1), WarpgroupInput::kEight);
          Value last = k.sub(l.x.count, k.index(1));
          k.loop(k.index(0), left, 1, [&](Value eight) {
            Value token = k.add(k.add(first, k.mul(eight, WarpgroupInput::kEight)), x.inEight);
            copy(l.x.row(k.min(token, last)), eight);
          });
          return Values();
        },
        [&] {
          for (int64_t eight = 0; eight < kEights; ++eight) {
            Value tile = k.add(first, eight / kOfTile * Bf16Tiles::kTileRows);
            copy({tile, k.index(Bf16Tiles::kTileRows), k.add(x.inEight, eight % kOfTile * WarpgroupInput::kEight)},
                 k.index(eight));
          }
          return Values();
        });
  }

  void arrived() override { k.publish(); }

  Values addChain(Value stage, ValueRange totals) override {
    Values next(totals);
    for (int64_t block = 0; block < kBlocks; ++block) {
      BlockChain own = loadBlock(stage, block);
      Values sums = x.multiply(own.weights, stage);
      for (int64_t i = 0; i < chip::kWarpgroupNumbers; ++i) {
        Value &total = next[size_t((i / 4 * kBlocks + block) * 4 + i % 4)];
        total = l.addChain(total, sums[size_t(i)], own.scales[size_t(i % 4 / 2)]);
      }
    }
    return next;
  }

  WarpgroupInput x;
};

} // namespace

void emitWarpgroupWide(MatrixLinear &linear) { Wide(linear).run(); }

} // namespace llmc::gpu
