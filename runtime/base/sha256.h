// SHA-256 (FIPS 180-4), with the processor's instructions for it where there are some.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrt {

using Sha256Digest = std::array<uint8_t, 32>;

// How blocks are hashed; all give the same digests. kBest is what this machine does fastest.
enum class Sha256Path { kBest, kPortable };

class Sha256 {
public:
  explicit Sha256(Sha256Path path = Sha256Path::kBest);
  void update(std::span<const std::byte> bytes);
  void update(std::span<const uint8_t> bytes) { update(std::as_bytes(bytes)); }
  Sha256Digest finish(); // the object must not be used after it

private:
  using Compress = void (*)(uint32_t *state, const uint8_t *blocks, size_t count);
  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> pending_;
  size_t pending_bytes_ = 0;
  uint64_t total_bytes_ = 0;
  Compress compress_;
};

Sha256Digest sha256(std::span<const std::byte> bytes);

} // namespace llmrt
