// A linear for few tokens by products of a warpgroup. The four warps have chains of their own, and one B: its 64 columns are
// 16 tokens of each warp's chain, and of its 64 numbers a row a warp keeps the 16 of its own. What is thrown away costs
// nothing but work of the matrix units, which few tokens leave idle, and the bits are those of many tokens: the instruction
// is the same one.
#include "codegen/gpu/kinds/MatrixNarrow.h"
#include "codegen/gpu/kinds/WarpgroupInput.h"

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr int64_t kTokens = WarpgroupInput::kProductTokens / MatrixLinear::kWarps; // of a warp in a product

class Narrow : public MatrixNarrow {
public:
  Narrow(MatrixLinear &linear, int64_t width)
      : MatrixNarrow(linear, width), products((width + kTokens - 1) / kTokens),
        eights(std::min(width, kTokens) / WarpgroupInput::kEight),
        x(linear, k.sharedWords(kStages * ownChains() * products * WarpgroupInput::kProductWords)) {}

private:
  static constexpr int64_t kStages = 2;

  Value placeOf(Value first, int64_t own, int64_t product) {
    Value stage = k.mul(k.rem(k.div(first, slices), kStages), ownChains() * products);
    return k.mul(k.add(stage, own * products + product), WarpgroupInput::kProductWords);
  }

  // x of the warp's chains of a round. Tokens that are missing repeat the last; an eight that the tile has no room for stays
  // as it is.
  void copyInput(Value first) {
    Value last = k.sub(l.x.count, k.index(1));
    for (int64_t product = 0; product < products; ++product)
      for (int64_t eight = 0; eight < eights; ++eight) {
        Value token = k.add(k.add(firstToken, product * kTokens + eight * WarpgroupInput::kEight), x.inEight);
        Bf16Tiles::Row row = l.x.row(k.min(token, last));
        Value place = k.mul(k.add(k.mul(l.warp, kTokens / WarpgroupInput::kEight), eight), WarpgroupInput::kEightWords);
        for (int64_t own = 0; own < ownChains(); ++own)
          for (int64_t unit = 0; unit < WarpgroupInput::kUnits; ++unit)
            x.copy(chain(first, k.index(own)), row, k.index(unit), k.add(placeOf(first, own, product), place));
      }
  }

  void begin() override {
    copyInput(k.index(0));
    k.commit();
  }

  // x of the next round is copied meanwhile, and weights of this one are asked for before anything is waited for.
  void round(Value first) override {
    Value next = k.add(first, slices);
    k.ifThen(k.less(next, l.chains), [&] { copyInput(next); });
    k.commit();
    llvm::SmallVector<llvm::SmallVector<std::array<Values, 2>>> weights;
    for (int64_t own = 0; own < ownChains(); ++own) weights.push_back(loadWeights(chain(first, k.index(own))));
    k.wait(kStages - 1);
    k.publish();
    k.barrier();
    for (int64_t own = 0; own < ownChains(); ++own)
      for (int64_t product = 0; product < products; ++product)
        for (size_t part = 0; part < weights[size_t(own)].size(); ++part)
          multiply(weights[size_t(own)][part], placeOf(first, own, product), slice(k.index(own)), int64_t(part),
                   product * kTokens);
  }

  void multiply(const std::array<Values, 2> &weights, Value here, Value slice, int64_t part, int64_t token) {
    Values all = x.multiply(weights, here);
    for (int64_t eight = 0; eight < eights; ++eight)
      storeSums(ownNumbers(all, eight), slice, part, k.index(token + eight * WarpgroupInput::kEight));
  }

  // Of [warp][eight][4 numbers] those of the thread's warp.
  Values ownNumbers(ValueRange all, int64_t eight) {
    constexpr int64_t kNumbers = 4 * kTokens / WarpgroupInput::kEight; // of a warp
    Values own;
    for (int64_t i = 0; i < 4; ++i) {
      Value number = all[size_t(4 * eight + i)];
      for (int64_t warp = 1; warp < MatrixLinear::kWarps; ++warp)
        number = k.select(k.equal(l.warp, k.index(warp)), all[size_t(warp * kNumbers + 4 * eight + i)], number);
      own.push_back(number);
    }
    return own;
  }

  const int64_t products; // for all tokens of the tile
  const int64_t eights;   // of a product that the tile has tokens for
  WarpgroupInput x;       // [stage][warp's chain][product]
};

} // namespace

void emitWarpgroupNarrow(MatrixLinear &linear, int64_t width) { Narrow(linear, width).run(); }

} // namespace llmc::gpu
