// The verifier: checks every offset, size, count and index of an artifact before anything is used, so that nobody
// downstream checks again. docs/artifact.md lists what holds afterwards. Shared with llmc, which runs it over what it
// wrote. Tokenizer tables are checked by runtime/text, for this library does not know what they mean.
#pragma once

#include "runtime/artifact/code_table.h"
#include "runtime/artifact/polynomial.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace llmrt {

inline constexpr int kMaxArtifactCacheGroups = 8;
inline constexpr std::string_view kCpuTarget = "cpu", kVulkanTarget = "vulkan", kCudaTarget = "cuda";

// The metadata as a flatbuffer: every pointer in it stays inside, strings end, nesting is bounded. Null if not.
const schema::Artifact *verify_flatbuffer(std::span<const std::byte> metadata);

// The segment table alone: enough for reading the segments' bytes. `metadata_end` is where the metadata ends in the
// file; segments follow it in ascending order, and the last one ends with the file.
Status verify_segments(const schema::Artifact &meta, uint64_t file_bytes, uint64_t metadata_end);

// The SHA-256 of each segment that is not weights, and the zeros between segments.
Status verify_hashes(const schema::Artifact &meta, std::span<const std::byte> file, uint64_t metadata_end);

// Everything else. verify_segments() must have passed; `file` is the whole file, aligned to 8 bytes.
Status verify_contents(const schema::Artifact &meta, std::span<const std::byte> file);

// ---- for those who read a verified artifact ------------------------------------------------------------------------
std::string_view text_of(const flatbuffers::String *string); // empty for null
// Its bytes are a code segment of runtime/abi/kernel.h, for that target.
bool is_code_of(const schema::Segment &segment, std::string_view target);
inline bool is_cpu_code(const schema::Segment &segment) { return is_code_of(segment, kCpuTarget); }
// Weights lie in it, in the file or in memory.
bool holds_weights(const schema::Segment &segment);
bool has_random_weights(const schema::Artifact &meta); // some of them are not in the file
bool is_known_code(const schema::Segment &segment); // of any target that this version knows
template <typename T> uint32_t count_of(const flatbuffers::Vector<T> *vector) { return vector ? vector->size() : 0; }
bool is_for(const schema::Program &program, std::string_view target); // the target runs it
// The program "step" of a target. Null if there is none: of a verified artifact, only for targets that it has no code for.
const schema::Program *find_step(const schema::Artifact &meta, std::string_view target);
// Bytes of the arena that a target's step runs in.
const schema::Size *arena_of(const schema::Artifact &meta, std::string_view target);

} // namespace llmrt
