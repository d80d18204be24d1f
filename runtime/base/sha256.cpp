#include "runtime/base/sha256.h"
#include "runtime/base/sha256_internal.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace llmrt {

namespace {

uint32_t load_big(const uint8_t *bytes) {
  return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 | uint32_t(bytes[2]) << 8 | bytes[3];
}

void compress_block(uint32_t *state, const uint8_t *block) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = load_big(block + 4 * i);
  for (int i = 16; i < 64; ++i) {
    uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; ++i) {
    uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + sha256_internal::kRound[size_t(i)] + w[i];
    uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void compress_portable(uint32_t *state, const uint8_t *blocks, size_t count) {
  for (; count > 0; --count, blocks += 64)
    compress_block(state, blocks);
}

sha256_internal::Compress best_compress() {
  static const sha256_internal::Compress best = [] {
    sha256_internal::Compress simd = sha256_internal::simd_compress();
    return simd ? simd : compress_portable;
  }();
  return best;
}

} // namespace

Sha256::Sha256(Sha256Path path)
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      compress_(path == Sha256Path::kPortable ? compress_portable : best_compress()) {}

void Sha256::update(std::span<const std::byte> bytes) {
  total_bytes_ += bytes.size();
  if (pending_bytes_ > 0) {
    size_t take = std::min(bytes.size(), pending_.size() - pending_bytes_);
    std::memcpy(pending_.data() + pending_bytes_, bytes.data(), take);
    pending_bytes_ += take;
    bytes = bytes.subspan(take);
    if (pending_bytes_ < pending_.size())
      return;
    compress_(state_.data(), pending_.data(), 1);
    pending_bytes_ = 0;
  }
  size_t whole = bytes.size() / 64;
  compress_(state_.data(), reinterpret_cast<const uint8_t *>(bytes.data()), whole);
  bytes = bytes.subspan(whole * 64);
  if (!bytes.empty())
    std::memcpy(pending_.data(), bytes.data(), bytes.size());
  pending_bytes_ = bytes.size();
}

Sha256Digest Sha256::finish() {
  uint64_t bits = total_bytes_ * 8;
  std::array<uint8_t, 128> tail{};
  std::memcpy(tail.data(), pending_.data(), pending_bytes_);
  tail[pending_bytes_] = 0x80;
  size_t blocks = pending_bytes_ < 56 ? 1 : 2;
  for (size_t i = 0; i < 8; ++i)
    tail[blocks * 64 - 1 - i] = uint8_t(bits >> (8 * i));
  compress_(state_.data(), tail.data(), blocks);
  Sha256Digest digest;
  for (size_t i = 0; i < 32; ++i)
    digest[i] = uint8_t(state_[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Sha256Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

} // namespace llmrt
