// Quantization schemes and how weights are packed: one code for llmc, which writes them, and for llmrt, which packs the
// made-up weights of an artifact that has none. One file a scheme family; the registry is in scheme.cpp. Layouts are in
// docs/kernels.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace llmrt::packing {

struct Scheme {
  const char *name; // "q4_g32"
  int bits;         // 4 or 8
  int group;        // columns that share a scale
  int zero;         // stored u = w + zero
  // value = scale x (w + offset), both in a group's 16 bits (affine_search.h); else scale x w, an f16 scale
  bool affine = false;
  int64_t columns_per_chunk() const { return 2 * group; }
  int64_t chunk_bytes() const { return 64 + int64_t(2) * group * bits * 16 / 8; }
  int64_t chunks(int64_t columns) const { return (columns + 2 * group - 1) / (2 * group); }
};

// Null for "none" and for names that are not known.
const Scheme *find_scheme(std::string_view name);
std::span<const Scheme> schemes();

// Why values cannot be packed; nothing useful is written then.
enum class PackStatus {
  kOk,
  kNotFinite, // a NaN or an infinity among the values
  kTooLarge,  // a value beyond what the element type, or the largest scale, can express
};
// "holds a NaN or an infinity", ...: follows the tensor's name in an error.
const char *pack_status_text(PackStatus status);

// Packs 16 rows of `columns` values (row-major) into one row block of the scheme's layout: chunks(columns) *
// chunk_bytes() bytes. Each group's scale is found by a search for the least squared error over f16 values (a scale
// may be negative), an affine scheme's scale and offset by one of their own. Pure: the same input gives the same bytes on
// every machine. Thread-safe.
PackStatus pack_block(const Scheme &scheme, std::span<const float> rows, int64_t columns, std::span<char> out);
// The inverse, rounding included: what the kernels compute with.
void unpack_block(const Scheme &scheme, std::span<const char> block, int64_t columns, std::span<float> rows);

// Bytes of a row block of the layout rows16; `element` ("f32", "bf16", "f16") counts where `scheme` is null.
int64_t block_bytes(const Scheme *scheme, std::string_view element, int64_t columns);

// rows16 of an unquantized element type: "f32", "bf16", "f16". 16 * columns elements.
PackStatus pack_block_plain(std::string_view element, std::span<const float> rows, int64_t columns,
                            std::span<char> out);
void unpack_block_plain(std::string_view element, std::span<const char> block, int64_t columns, std::span<float> rows);

} // namespace llmrt::packing
