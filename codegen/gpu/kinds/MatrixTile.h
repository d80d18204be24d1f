// A linear on matrix units for many tokens. A workgroup has a tile of four warps' row blocks and some tokens; x, weights and
// scales of a chain are a stage of the workgroup's memory, and stages to come are copied while one is multiplied. How x lies
// in a stage, and what multiplies, are MatrixWide.cpp's and WarpgroupWide.cpp's.
#pragma once

#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

class MatrixTile {
public:
  // All tiles of the workgroup. A work item is a row block and a token.
  void run();

protected:
  static constexpr int64_t kBlocks = kMatrixWarpBlocks;

  // `mostBytes`: what stages may take; `outputTokens`: that leave through the memory at a time, of each half or all.
  MatrixTile(MatrixLinear &linear, int64_t tokens, int64_t inputWords, int64_t mostBytes, int64_t outputTokens);
  virtual ~MatrixTile() = default;

  // Copies a chain of x to the first words of a stage.
  virtual void copyInput(Value chain, Value stage) = 0;
  // The thread's copies of a stage have arrived; a barrier follows.
  virtual void arrived() {}
  // The sums after a chain; totals are [eight tokens][block][4 numbers].
  virtual Values addChain(Value stage, ValueRange totals) = 0;

  // A chain of one of the warp's row blocks, as the thread multiplies it.
  struct BlockChain {
    std::array<Values, 2> weights;
    Values scales; // of rows 2 group and 2 group + 1; null without a scheme
  };
  BlockChain loadBlock(Value stage, int64_t block);

  MatrixLinear &l;
  GpuBuilder &k;
  const int64_t tokens;
  Value memory = {}; // words; [stage] {x, weights [warp][block], scales alike}
  Value first = {};  // token of the tile

private:
  int64_t weightWords() const { return MatrixLinear::kWarps * kBlocks * l.chainWords(); }
  int64_t scaleWords() const;
  int64_t stageWords() const { return inputWords + weightWords() + scaleWords(); }
  Value stage(Value chain) { return k.mul(k.rem(chain, stages), stageWords()); }
  Value weightsOf(Value stage, Value block);
  Value scalesOf(Value stage, Value block);
  void copyWeights(Value chain, Value stage, Value lane);
  void copyStage(Value chain);
  Values multiply();
  void store(ValueRange totals, int64_t part);
  void tile(Value units, Value token);

  const int64_t inputWords, outputTokens;
  int64_t stages;
  Value unit = {};    // of the warp: an item, or two without a gate
  Values blocks = {}; // where its row blocks begin
};

} // namespace llmc::gpu
