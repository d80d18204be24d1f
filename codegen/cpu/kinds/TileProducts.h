// int8 products on AMX's tiles: row blocks of a weight by tiles of the step's rows, with the bits of all other int8 code. A
// tile register has 16 rows of 64 bytes. B is the weight's, whose layout is the one that B wants; A is the step's rows, which
// are copied for it once, and then meet all of the weight; so C has a row of the step a row and an output a lane.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

class TileProducts {
public:
  static bool areThere(const codegen::CpuTier &tier);

  static constexpr int64_t kTogether = 2; // tiles of rows that share what is made of the weight
  static constexpr int64_t kFirstRows = 9; // fewer rows are left to vectors
  // Bytes of scratch: fixed, and for each chunk of the weight.
  static constexpr int64_t kScratchBytes = kTogether * 4 * 1024 + 2 * 2048;
  static int64_t scratchPerChunk(const Scheme &scheme);

  // `scratch`: aligned to 64.
  TileProducts(KernelBuilder &k, const Scheme &scheme, Value chunks, Value scales, Value scratch);

  struct Rows { // a tile of 1 to 16 rows: how many, and where its buffers begin
    Value count, q, corr, scale;
  };
  // Copies tile `number` of those that sums() takes. Of rows that are missing anything is computed.
  void copyRows(Value number, const Rows &rows);
  // The linear's sums of a row block with the first `tiles` copied tiles, to `out`: f32 [rows][16 outputs].
  void sums(Value block, int64_t tiles, Value out);

private:
  bool wide() const { return scheme.bits == 8; }
  Value copyOf(Value number) { return k.at(copies, k.mul(number, copyBytes)); }
  Value scalesOf(Value copy) { return k.at(copy, k.mul(chunks, kLanes * scheme.columns_per_chunk())); }
  Value correctionsOf(Value copy) { return k.at(scalesOf(copy), k.mul(chunks, scaleBytesPerChunk(scheme))); }
  static int64_t scaleBytesPerChunk(const Scheme &scheme);
  static int64_t copyBytesPerChunk(const Scheme &scheme);
  void copyColumns(const Rows &rows, Value copy);
  // Values of four bytes, [count][rows], as f32 [count][16].
  void copyNumbers(Value from, Value count, const Rows &rows, bool integers, Value to);
  Value groupOf(Value block, Value number, Value &half);
  Value weightsOf(Value index) { return k.at(weights, k.mul(k.rem(index, 2), 2048)); }
  void unpack(Value block, Value index, int64_t groups);
  void multiply(Value index, int64_t groups, int64_t tiles);
  void addRun(Value block, Value index, int64_t groups, int64_t tiles, Value out);

  KernelBuilder &k;
  const Scheme &scheme;
  Value chunks, scales; // of the weight; activation scales of a row
  Value ints, weights;  // dots on their way from tiles to vectors; two runs' weights as B
  Value copies, copyBytes;
};

} // namespace llmc::cpu
