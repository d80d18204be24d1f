// Philox4x32-10: a counter-based generator, so that a draw depends on its seed and its index and on nothing that was
// drawn before. Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

namespace llmrt {

inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * counter[0], b = uint64_t(0xCD9E8D57u) * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// Uniform in [0, 1), a multiple of 2^-53: the draw for new token `index` of a request with `seed`. `branch` tells the
// samples of one request apart (0 where there is one), `stream` the draws for one token.
inline double uniform_draw(uint64_t seed, uint64_t index, uint32_t branch = 0, uint32_t stream = 0) {
  const std::array<uint32_t, 4> bits =
      philox4x32({uint32_t(index), uint32_t(index >> 32), branch, stream}, {uint32_t(seed), uint32_t(seed >> 32)});
  return double((uint64_t(bits[1]) << 32 | bits[0]) >> 11) * 0x1p-53;
}

} // namespace llmrt
