// The int8 dot product behind one helper: int32 sums over four columns of 16 rows, each tier with its own
// instructions and all with the same exact result.
#pragma once

#include "codegen/cpu/KernelBuilder.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::cpu {

enum class DotKind {
  Vnni,       // vpdpbusd: u8 x s8 into int32
  Avx512Pair, // vpmaddubsw and vpmaddwd, 512 bits
  Avx2Pair,   // the same, 256 bits
  Neon,       // sdot: s8 x s8 into int32
};

// Sums a weight group: begin(), dot() for each 4 columns in order, finish().
class GroupDot {
public:
  GroupDot(KernelBuilder &k, const Scheme &scheme);

  using State = Values;
  // `corrected`: 16 x i32, -zero x sum of the group's x: cancels the stored weights' offset.
  State begin(Value corrected);
  // `weights`: 64 x i8, stored u of 16 rows x 4 columns, made ready by prepare(). `x`: i32, four int8 columns.
  void dot(State &state, Value weights, Value x);
  // 16 x i32
  Value finish(const State &state);

  // Lines of weights worth unrolling together.
  int64_t linesTogether() const { return (pairs() ? 2 : 4) * (scheme_.bits == 8 ? 2 : 1); }

  // The stored bytes as this tier's dot wants them: once a line, for all tokens.
  Value prepare(Value bytes);

private:
  bool pairs() const { return kind_ == DotKind::Avx512Pair || kind_ == DotKind::Avx2Pair; }
  // Pairs of u8 x s8 fit int16 for 4-bit weights (15 x 127 x 2), up to 8 of them added; for 8-bit ones the sign moves
  // to the weights, |x| x s8 x 2 fits, and every product is widened at once.
  bool wideWeights() const { return scheme_.bits == 8; }
  Value piece(Value vector, int64_t index, int64_t lanes);
  Value join(ValueRange pieces);
  Value broadcastBytes(Value x, int64_t bytes);
  void dotPair(State &state, Value weights, Value x);
  void dotNeon(State &state, Value weights, Value x);
  Value widen(Value products, int64_t bytes);

  KernelBuilder &k_;
  const Scheme &scheme_;
  DotKind kind_;
  int64_t pieceBytes_; // of one instruction
};

} // namespace llmc::cpu
