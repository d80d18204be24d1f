// Normal values by counter: value i of stream `key` is a function of (key, i) alone. docs/random-weights.md is the
// definition; this is it in vectors.
#pragma once

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace llmc {

constexpr int64_t kNormalBlock = 16;

// Values [begin, begin + out.size()) of the stream, times `deviation`. The same bits on every machine.
void fillNormal(uint64_t key, uint64_t begin, float deviation, llvm::MutableArrayRef<float> out);

// The same generator compiled for a width of vectors: `blocks` whole blocks of 16 values from block `first`.
struct NormalVariant {
  const char *name;
  void (*fill)(uint64_t key, uint64_t first, int64_t blocks, float deviation, float *out);
};
// Those this machine can run, the best first. All of them give the same bits.
llvm::ArrayRef<NormalVariant> normalVariants();

} // namespace llmc
