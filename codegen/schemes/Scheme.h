// Quantization schemes: what a weight's bytes mean. One file a scheme family; the registry is in Schemes.cpp.
// Layouts are in docs/kernels.md.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <vector>

namespace llmc {

struct Scheme {
  const char *name;  // "q4_g32"
  int bits;          // 4 or 8
  int group;         // columns that share a scale
  int zero;          // stored u = w + zero
  int64_t columnsPerChunk() const { return 2 * group; }
  int64_t chunkBytes() const { return 64 + int64_t(2) * group * bits * 16 / 8; }
  int64_t chunks(int64_t columns) const { return (columns + 2 * group - 1) / (2 * group); }
};

// Null for "none" and for names that are not known.
const Scheme *findScheme(llvm::StringRef name);
const std::vector<Scheme> &schemes();

// Why values cannot be packed; nothing useful is written then.
enum class PackStatus {
  Ok,
  NotFinite, // a NaN or an infinity among the values
  TooLarge,  // a value beyond what the element type, or the largest half as a scale, can express
};
// "holds a NaN or an infinity", ...: follows the tensor's name in an error.
const char *packStatusText(PackStatus status);

// Packs 16 rows of `columns` values (row-major) into one row block of the scheme's layout: chunks(columns) *
// chunkBytes() bytes. Each group's scale is found by a search for the least squared error over f16 values (a scale
// may be negative). Pure: the same input gives the same bytes on every machine. Thread-safe.
PackStatus packBlock(const Scheme &scheme, llvm::ArrayRef<float> rows, int64_t columns,
                     llvm::MutableArrayRef<char> out);
// The inverse, rounding included: what the kernels compute with.
void unpackBlock(const Scheme &scheme, llvm::ArrayRef<char> block, int64_t columns, llvm::MutableArrayRef<float> rows);

// rows16 of an unquantized element type: "f32", "bf16", "f16". 16 * columns elements.
PackStatus packBlockPlain(llvm::StringRef element, llvm::ArrayRef<float> rows, int64_t columns,
                          llvm::MutableArrayRef<char> out);
void unpackBlockPlain(llvm::StringRef element, llvm::ArrayRef<char> block, int64_t columns,
                      llvm::MutableArrayRef<float> rows);

} // namespace llmc
