// int8 products on AMX's tiles: a row block of a weight by whole tiles of the step's rows, with the bits of all other int8
// code. A tile register has 16 rows of 64 bytes. The weight's are A, an output a row; the step's are B, whose layout that
// of int8 rows is; so C has an output a row and a row of the step a lane. A's layout is no other instruction's: row blocks
// are prepared, a panel of them at a time, and serve all rows of the step.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

class TileProducts {
public:
  static bool areThere(const codegen::CpuTier &tier);

  static constexpr int64_t kTogether = 2; // tiles of rows that share what is loaded of a weight
  // Bytes of scratch: sums on their way from tiles to vectors, and totals.
  static constexpr int64_t kScratchBytes = kTogether * (4 + 1) * 1024;

  // `scratch`: kScratchBytes, aligned to 64.
  TileProducts(KernelBuilder &k, const Scheme &scheme, Value chunks, Value scratch)
      : k(k), scheme(scheme), chunks(chunks), ints(scratch), totals(k.at(scratch, kTogether * 4 * 1024)) {}

  // A prepared row block: [Kp/64][16][64] signed weights (affine: stored ones), then f32 [Kp/G][16] scales, of an affine
  // scheme [Kp/G][2][16] scales and offsets.
  static int64_t preparedBytesPerChunk(const Scheme &scheme);
  void prepare(Value block, Value prepared);

  struct Rows { // a tile of 16 rows: where its buffers begin
    Value q, corr, scale;
  };
  // The linear's sums with up to kTogether tiles, to `out`: f32 [rows][16 outputs].
  void sums(Value prepared, llvm::ArrayRef<Rows> tiles, Value out);

private:
  bool wide() const { return scheme.bits == 8; }
  int64_t scaleBytes() const { return scheme.affine ? 128 : 64; } // of a group
  Value scalesOf(Value prepared);
  Values loadQuads(Value lines);
  void run(Value prepared, Value index, int64_t groups, llvm::ArrayRef<Rows> tiles);
  void groupSums(Value weights, llvm::ArrayRef<Value> inputs, int64_t group);

  KernelBuilder &k;
  const Scheme &scheme;
  Value chunks, ints, totals;
};

} // namespace llmc::cpu
