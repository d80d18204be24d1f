#include "runtime/kv/page_key.h"

#include "runtime/base/sha256.h"

namespace llmrt {

namespace {
// Little-endian, whatever the machine, so that keys mean the same to machines that exchange pages.
template <typename T> void update_integer(Sha256 &hash, T value) {
  std::array<uint8_t, sizeof(T)> bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = uint8_t(uint64_t(value) >> (8 * i));
  hash.update(std::span<const uint8_t>(bytes));
}
} // namespace

PageKey root_page_key(std::string_view salt, int64_t rope_length) {
  Sha256 hash;
  static constexpr std::string_view kDomain = "llmrt page 1";
  hash.update(std::as_bytes(std::span(kDomain)));
  update_integer(hash, rope_length);
  update_integer(hash, uint64_t(salt.size()));
  hash.update(std::as_bytes(std::span(salt)));
  return hash.finish();
}

PageKey next_page_key(const PageKey &parent, std::span<const int32_t> tokens) {
  Sha256 hash;
  hash.update(std::span<const uint8_t>(parent));
  for (int32_t token : tokens) update_integer(hash, uint32_t(token));
  return hash.finish();
}

} // namespace llmrt
