// What operands of kernels look like in memory (docs/kernels.md, Layouts), from plain rows of numbers.
#pragma once

#include "codegen/reference/Oracle.h"
#include "codegen/schemes/Scheme.h"

#include <cstring>
#include <string>
#include <vector>

namespace llmc::golden {

using Bytes = std::vector<char>;
using Floats = std::vector<float>;

template <typename T> Bytes bytesOf(const std::vector<T> &values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `count` multiples of 1/64 in [-size, size], by a fixed generator.
Floats numbers(size_t count, uint32_t seed, float size = 1);
std::vector<double> toDouble(const Floats &values);
reference::Element elementOf(llvm::StringRef name); // "f32", "bf16", "f16"

// A matrix [rows, columns] in rows16; `scheme` is null for an unquantized one of `element`.
Bytes packMatrix(const Scheme *scheme, llvm::StringRef element, const Floats &matrix, int64_t rows, int64_t columns);

// The three buffers of int8 rows for a linear of the scheme.
struct Int8Operands {
  Bytes q, corr, scale;
};
Int8Operands packInt8Rows(const Scheme &scheme, const reference::Int8Rows &x, int64_t rows, int64_t columns);

// bf16 rows of `padded` columns, of values that are bf16 already; `bytes` of an element: 2, or 4 where they are f32.
Bytes packBf16Rows(const std::vector<double> &x, int64_t rows, int64_t columns, int64_t padded, int64_t bytes);
// What docs/kernels.md says of their rounding.
std::vector<double> roundToBf16(std::vector<double> values);

// The keys and values of one sequence in pages.
struct PageShape {
  std::string element; // f32, f16, bf16, int8
  int64_t kvHeads, keyDim, valueDim, valuePad;
  int64_t pageBytes() const;
};
// keys [length, kvHeads x keyDim], values alike: the pool of `pages` pages, token t in page table[t / 16]. The numbers are
// left as the cache rounds them.
Bytes packPages(const PageShape &shape, const std::vector<int32_t> &table, int64_t pages, std::vector<double> &keys,
                std::vector<double> &values);

} // namespace llmc::golden
