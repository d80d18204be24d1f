// The first 128 bytes of an artifact, which every version can read, and the hash that is an artifact's name. Shared by
// the writer (llmc) and the reader.
#pragma once

#include "runtime/base/sha256.h"
#include "runtime/base/status.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrt {

inline constexpr size_t kPrefixBytes = 128;
inline constexpr std::array<char, 8> kPrefixMagic = {'L', 'L', 'M', 'R', 'T', 'A', 'R', 'T'};

// Raised when an old reader would misread a new file; such files are refused.
inline constexpr uint32_t kFormatMajor = 1;
// Raised when a table grows; see runtime/schema/LOG.md. Readers take any minor version of their major one.
inline constexpr uint32_t kFormatMinor = 4;

inline constexpr uint64_t kSegmentAlignment = 65536; // of a segment's offset in the file
inline constexpr uint64_t kWeightAlignment = 64;     // of a weight's offset in its segment
inline constexpr uint64_t kHashChunk = 1 << 20;      // bytes of a weights segment that one chunk hash covers
inline constexpr uint64_t kMaxMetadataBytes = 1u << 30;

// All little-endian; in the file in this order, then zeros up to 128 bytes.
struct Prefix {
  std::array<char, 8> magic = kPrefixMagic;
  uint32_t major = kFormatMajor;
  uint32_t minor = kFormatMinor;
  uint64_t file_bytes = 0;
  uint64_t metadata_offset = kPrefixBytes; // a multiple of 64
  uint64_t metadata_bytes = 0;
  Sha256Digest metadata_sha256{};
};

std::array<std::byte, kPrefixBytes> serialize_prefix(const Prefix &prefix);

// Checks the magic, the version, that the file has `file.size()` bytes and that the metadata lies inside it. The
// metadata's hash is not checked here.
Result<Prefix> parse_prefix(std::span<const std::byte> file);

// SHA-256 over the metadata's hash and then each segment's, in the order of the table.
Sha256Digest root_hash(const Sha256Digest &metadata, std::span<const Sha256Digest> segments);

} // namespace llmrt
