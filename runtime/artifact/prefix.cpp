#include "runtime/artifact/prefix.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace llmrt {

static_assert(std::endian::native == std::endian::little, "the file is little-endian and mapped as it stands");
static_assert(sizeof(Prefix) == 72 && sizeof(Prefix) <= kPrefixBytes);

std::array<std::byte, kPrefixBytes> serialize_prefix(const Prefix &prefix) {
  std::array<std::byte, kPrefixBytes> bytes{};
  std::memcpy(bytes.data(), &prefix, sizeof prefix);
  return bytes;
}

Result<Prefix> parse_prefix(std::span<const std::byte> file) {
  auto corrupt = [](std::string message) { return Status(StatusCode::kCorrupt, std::move(message)); };
  if (file.size() < kPrefixBytes)
    return corrupt("not an artifact: only " + std::to_string(file.size()) + " bytes");
  Prefix prefix;
  std::memcpy(&prefix, file.data(), sizeof prefix);
  if (prefix.magic != kPrefixMagic)
    return corrupt("not an artifact: the first bytes are not LLMRTART");
  if (prefix.major != kFormatMajor)
    return Status(StatusCode::kUnsupported,
                  "format version " + std::to_string(prefix.major) + "." + std::to_string(prefix.minor) +
                      " is not read by this build (it reads " + std::to_string(kFormatMajor) +
                      ".x): compile the model again with the llmc of this version");
  if (prefix.file_bytes != file.size())
    return corrupt("the file has " + std::to_string(file.size()) + " bytes but should have " +
                   std::to_string(prefix.file_bytes) + ": it was cut off or appended to; copy or compile it again");
  if (prefix.metadata_offset < kPrefixBytes || prefix.metadata_offset % 64 != 0 ||
      prefix.metadata_offset > file.size() || prefix.metadata_bytes > file.size() - prefix.metadata_offset ||
      prefix.metadata_bytes > kMaxMetadataBytes)
    return corrupt("the metadata does not lie in the file");
  std::span<const std::byte> zeros = file.subspan(sizeof prefix, size_t(prefix.metadata_offset) - sizeof prefix);
  if (std::any_of(zeros.begin(), zeros.end(), [](std::byte byte) { return byte != std::byte(0); }))
    return corrupt("the reserved bytes of the prefix are not zero");
  return prefix;
}

Sha256Digest root_hash(const Sha256Digest &metadata, std::span<const Sha256Digest> segments) {
  Sha256 hash;
  hash.update(std::span<const uint8_t>(metadata));
  for (const Sha256Digest &segment : segments)
    hash.update(std::span<const uint8_t>(segment));
  return hash.finish();
}

} // namespace llmrt
