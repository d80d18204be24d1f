// What the ways of a linear on bf16 rows share: y = x W^T by chip.mma (MatrixNarrow.cpp, MatrixWide.cpp), or on chips that
// have it by chip.warpgroup_mma (WarpgroupNarrow.cpp, WarpgroupWide.cpp), the weights on its M side, tokens on its N side,
// padded where there are fewer.
//
// The order is one for every number of tokens, that of docs/design.md, Order: a chain is two products over 16 columns each,
// which begin with zero, without the weight's scale; chains are added one after the other, each by an fma with its scale.
// A row's result depends on no other row, so it does not matter how tokens are dealt out, nor chains to warps, as long
// as their sums are added in order.
#pragma once

#include "codegen/gpu/kinds/LinearOutput.h"
#include "codegen/gpu/kinds/RowTiles.h"

#include <array>

namespace llmc::gpu {

struct MatrixLinear {
  enum Scalars { kRows, kColumns, kOutputs, kBlocks, kChunks, kLdX, kLdOut, kFirstLd };
  static constexpr int64_t kThreads = 128, kWarp = 32, kWarps = kThreads / kWarp;
  static constexpr int64_t kChain = 32;     // columns
  static constexpr int64_t kInstruction = 8; // tokens
  static constexpr int kWeight = 1;         // operand

  GpuBuilder &k;
  LinearOutput output;
  const Scheme *scheme; // null: weights of bf16
  int64_t parts;        // weight rows of an output: 2 where gated
  // The thread in its warp is 4 group + member: it has rows 2 group and 2 group + 1 of a block, of each 32 columns those
  // from 8 member on, and tokens 2 member and 2 member + 1 of a product.
  Value warp, group, member;
  Value chains; // of columns
  Bf16Tiles x;

  MatrixLinear(GpuBuilder &k, exec::KernelOp kernel);

  // Words of a chain of a row block, in lines of 16 rows (8 columns of 4 bits, 4 of 8) or, of bf16, in columns of 8 words.
  int64_t lineWords() const { return scheme ? 16 : 8; }
  int64_t chainWords() const { return scheme ? kChain * scheme->bits * 16 / 32 : kChain * 8; }
  // The operand's words where a row block begins, a chain of it, and its 8 words of scales.
  Value blockStart(Value block);
  Value chainStart(Value blockStart, Value chain);
  Value scaleStart(Value blockStart, Value chain);

  // A chain's weights, with their offsets and without their scale, as the thread's words of A: four for each of two
  // products. `scales`: word `group` of the chain's scales; only where there is a scheme.
  using Load = llvm::function_ref<Value(Value line, Value word)>;
  std::array<Values, 2> weights(Load load, Value scales);
  // The sum of a chain, 4 numbers: row 2 group of both tokens, then row 2 group + 1. `x`: the token's four pairs of the
  // thread's 8 columns.
  Values chainSum(const std::array<Values, 2> &weights, ValueRange x);
  // The sum after a chain; `scale` only where there is a scheme.
  Value addChain(Value total, Value sum, Value scale) { return scheme ? k.fma(sum, scale, total) : k.addf(total, sum); }

private:
  // Of row 0 or 1 of the word: what stands for zero, less the offset, in steps of 1/8 from `base` on.
  Value zeroOf(Value scales, int64_t row, int32_t base);
  Value pair(Value first, Value second); // two f32 that are bf16, in a word
  // The four pairs of 8 columns of a row.
  Values quantizedPairs(ValueRange words, Value scales, int64_t row);
  Values nibblePairs(Value word, Value scales, int64_t row);
};

// A number of tokens that fits one tile of the N side, or tile after tile: a workgroup has a row block, and deals out chains
// to its warps.
inline constexpr int64_t kMostNarrowTokens = 32; // where there are tiles of more
void emitMatrixNarrow(MatrixLinear &linear, int64_t width);
void emitWarpgroupNarrow(MatrixLinear &linear, int64_t width);

// Tiles of row blocks and 64 tokens.
inline constexpr int64_t kMatrixTileTokens = 64;
inline constexpr int64_t kMatrixWarpBlocks = 2; // row blocks of a warp: gate and up, or two
void emitMatrixWide(MatrixLinear &linear);
void emitWarpgroupWide(MatrixLinear &linear);

} // namespace llmc::gpu
