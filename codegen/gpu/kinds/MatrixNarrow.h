// A linear on matrix units for few tokens: reading the weights is all that takes time. Warps have chains of their own,
// straight from memory, and leave the chains' sums to the workgroup, whose threads add each output's in order. What
// multiplies is MatrixNarrow.cpp's and WarpgroupNarrow.cpp's.
#pragma once

#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

class MatrixNarrow {
public:
  void run();

protected:
  MatrixNarrow(MatrixLinear &linear, int64_t width);
  virtual ~MatrixNarrow() = default;

  // Before the first round of a tile of tokens.
  virtual void begin() {}
  // A round: stores the sums, by storeSums(), of the warp's chains from chain(first, 0) on, and all parts and tokens. All warps
  // go round together, for a product may need all threads.
  virtual void round(Value first) = 0;

  int64_t ownChains() const { return slices / MatrixLinear::kWarps; }
  Value slice(Value own) { return k.add(k.mul(l.warp, ownChains()), own); }
  // One behind the last is the last once more.
  Value chain(Value first, Value own) { return k.min(k.add(first, slice(own)), k.sub(l.chains, k.index(1))); }
  // Of each part.
  llvm::SmallVector<std::array<Values, 2>> loadWeights(Value chain);
  // 4 numbers of each of 8 tokens from token `first` of the tile on.
  void storeSums(ValueRange sums, Value slice, int64_t part, Value first);

  MatrixLinear &l;
  GpuBuilder &k;
  const int64_t width;  // tokens of a tile
  const int64_t slices; // chains of a round
  Value firstToken = {}; // of the tile

private:
  Value place(Value slice, int64_t part, Value token, Value row);
  Value row() { return k.rem(k.thread(), kLanes); } // a thread has a row, and every 8th token
  Value token(int64_t i) { return k.add(k.div(k.thread(), kLanes), i * MatrixLinear::kInstruction); }
  Values addUp(Value first, ValueRange totals);
  void tile();

  Value memory; // f32 [slice][part][token][row]
  Value item = {};
  Values blocks = {}; // where the item's row blocks begin
};

} // namespace llmc::gpu
