// The hashes of the artifact's token tables. They are part of the format: never change them.
#pragma once

#include <cstdint>
#include <string_view>

namespace llmrt {

inline uint64_t mix_hash(uint64_t h) { // the finalizer of MurmurHash3
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdull;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ull;
  return h ^ (h >> 33);
}

// FNV-1a, one step: a prefix's state is a start for every longer spelling.
inline constexpr uint64_t kHashStart = 0xcbf29ce484222325ull;
inline uint64_t hash_step(uint64_t state, unsigned char byte) { return (state ^ byte) * 0x100000001b3ull; }

inline uint64_t hash_bytes(std::string_view bytes) {
  uint64_t state = kHashStart;
  for (char c : bytes) state = hash_step(state, static_cast<unsigned char>(c));
  return mix_hash(state);
}

inline uint64_t hash_pair(uint32_t left, uint32_t right) { return mix_hash((uint64_t(left) << 32) | right); }

} // namespace llmrt
