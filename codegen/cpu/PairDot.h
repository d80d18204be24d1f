// The product of bf16 inputs with stored weights behind one helper. Columns come in pairs, the second of a pair added
// before the first: sum = fma(w0, x0, fma(w1, x1, sum)). That is what vdpbf16ps does, so tiers with and without it agree
// bit for bit; where it differs, it takes subnormal inputs for zeros and makes subnormal sums zeros.
#pragma once

#include "codegen/cpu/KernelBuilder.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::cpu {

inline constexpr int64_t kChainColumns = 32; // of one chain of sums
inline constexpr int64_t kStepColumns = 8;   // the pairs of a step are columns 0 2, 4 6, 1 3, 5 7
inline constexpr int64_t kStepPairs = kStepColumns / 2;

class PairDot {
public:
  // `scheme`: null for weights stored as bf16.
  PairDot(KernelBuilder &k, const Scheme *scheme);

  static bool isNative(const codegen::CpuTier &tier); // has vdpbf16ps
  // Bytes of an input in its tile: bf16, or f32 (a bf16 value) where the tier multiplies in f32.
  static int64_t inputBytes(const codegen::CpuTier &tier) { return isNative(tier) ? 2 : 4; }
  // 16 f32, each the value of a bf16, as eight pairs: 8 x i32 or 16 x f32, in the order of the tile.
  static Value pairsOf(KernelBuilder &k, Value values);

  // A step's weights of 16 rows begin every stepBytes().
  int64_t stepBytes() const;
  // One pair: of bf16 pairs a vector, of f32 two.
  using Pair = Values;
  using Step = llvm::SmallVector<Pair, kStepPairs>;
  Step load(Value pointer);
  Pair ones();
  // sum + pair x inputs; `inputs` points at the two inputs of one row.
  Value add(Value sum, const Pair &pair, Value inputs);

private:
  Value field(Value words, int64_t low, int64_t bits); // signed, as f32
  llvm::SmallVector<Value, kStepColumns> loadColumns(Value pointer);
  Pair pair(Value first, Value second);
  Step lookUp(Value pointer);
  Step interleave(Value pointer);

  KernelBuilder &k_;
  const Scheme *scheme_;
  bool native_;
};

} // namespace llmc::cpu
