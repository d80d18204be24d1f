// Normal values by counter: value i of stream `key` is a function of (key, i) alone. docs/random-weights.md is the
// definition; this is it in vectors.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace llmrt::packing {

constexpr int64_t kNormalBlock = 16;

// The stream of a tensor of that name.
uint64_t stream_key(uint64_t seed, std::string_view name);

// Values [begin, begin + out.size()) of the stream, times `deviation`. The same bits on every machine.
void fill_normal(uint64_t key, uint64_t begin, float deviation, std::span<float> out);

// The same generator compiled for a width of vectors: `blocks` whole blocks of 16 values from block `first`.
struct NormalVariant {
  const char *name;
  void (*fill)(uint64_t key, uint64_t first, int64_t blocks, float deviation, float *out);
};
// Those this machine can run, the best first. All of them give the same bits.
std::span<const NormalVariant> normal_variants();

} // namespace llmrt::packing
