// The rows16 layout of docs/kernels.md: chunks of two groups, f16 scales first. Little-endian on every host.
#include "codegen/schemes/Layout.h"
#include "codegen/schemes/Half.h"

#include "llvm/Support/Endian.h"

#include <algorithm>
#include <cassert>

namespace llmc {
namespace {

using namespace packing;

constexpr int kScaleBytes = 64; // of a chunk: 16 of the first group, 16 of the second

const Family &familyOf(const Scheme &scheme) { return scheme.bits == 4 ? q4() : q8(); }

// One group of 16 rows as [group][16]; columns behind the matrix's end are zero.
void gatherGroup(llvm::ArrayRef<float> rows, int64_t columns, int64_t first, int group, float *values) {
  int64_t count = std::clamp<int64_t>(columns - first, 0, group);
  std::fill(values + count * kRows, values + group * kRows, 0.0f);
  for (int r = 0; r < kRows; ++r) {
    const float *row = rows.data() + r * columns + first;
    for (int64_t c = 0; c < count; ++c) values[c * kRows + r] = row[c];
  }
}

PackStatus packGroup(const Scheme &scheme, const float *values, char *scaleBytes, uint8_t *u) {
  float scales[kRows];
  int8_t w[kMaxGroup * kRows];
  PackStatus status = searchGroup(familyOf(scheme).plan, values, scheme.group, scales, w);
  if (status != PackStatus::Ok) return status;
  for (int r = 0; r < kRows; ++r) llvm::support::endian::write16le(scaleBytes + 2 * r, f32ToF16(scales[r]));
  for (int i = 0; i < scheme.group * kRows; ++i) u[i] = uint8_t(w[i] + scheme.zero);
  return PackStatus::Ok;
}

} // namespace

PackStatus packBlock(const Scheme &scheme, llvm::ArrayRef<float> rows, int64_t columns,
                     llvm::MutableArrayRef<char> out) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(int64_t(out.size()) == scheme.chunks(columns) * scheme.chunkBytes() && "a whole row block");
  float values[kMaxGroup * kRows];
  uint8_t u[2 * kMaxGroup * kRows];
  char *chunk = out.data();
  for (int64_t first = 0; first < columns; first += scheme.columnsPerChunk(), chunk += scheme.chunkBytes()) {
    for (int half = 0; half < 2; ++half) {
      gatherGroup(rows, columns, first + half * scheme.group, scheme.group, values);
      PackStatus status = packGroup(scheme, values, chunk + half * 2 * kRows, u + half * scheme.group * kRows);
      if (status != PackStatus::Ok) return status;
    }
    familyOf(scheme).packLines(u, 2 * scheme.group, chunk + kScaleBytes);
  }
  return PackStatus::Ok;
}

void unpackBlock(const Scheme &scheme, llvm::ArrayRef<char> block, int64_t columns,
                 llvm::MutableArrayRef<float> rows) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(int64_t(block.size()) == scheme.chunks(columns) * scheme.chunkBytes() && "a whole row block");
  uint8_t u[2 * kMaxGroup * kRows];
  const char *chunk = block.data();
  for (int64_t first = 0; first < columns; first += scheme.columnsPerChunk(), chunk += scheme.chunkBytes()) {
    familyOf(scheme).unpackLines(chunk + kScaleBytes, 2 * scheme.group, u);
    int64_t count = std::min<int64_t>(columns - first, scheme.columnsPerChunk());
    for (int64_t c = 0; c < count; ++c)
      for (int r = 0; r < kRows; ++r) {
        const char *scale = chunk + (c / scheme.group) * 2 * kRows + 2 * r;
        rows[r * columns + first + c] =
            float(int(u[c * kRows + r]) - scheme.zero) * f16ToF32(llvm::support::endian::read16le(scale));
      }
  }
}

} // namespace llmc
