// The rows16 layout of docs/kernels.md: chunks of two groups, their scales first.
#include "runtime/packing/layout.h"

#include "runtime/packing/affine_search.h"
#include "runtime/packing/half.h"

#include <algorithm>
#include <cassert>

namespace llmrt::packing {

namespace {

constexpr int kScaleBytes = 64; // of a chunk: 16 of the first group, 16 of the second

const Family &family_of(const Scheme &scheme) { return scheme.bits == 4 ? q4() : q8(); }

// One group of 16 rows as [group][16]; columns behind the matrix's end are zero.
void gather_group(std::span<const float> rows, int64_t columns, int64_t first, int group, float *values) {
  int64_t count = std::clamp<int64_t>(columns - first, 0, group);
  std::fill(values + count * kRows, values + group * kRows, 0.0f);
  for (int r = 0; r < kRows; ++r) {
    const float *row = rows.data() + r * columns + first;
    for (int64_t c = 0; c < count; ++c)
      values[c * kRows + r] = row[c];
  }
}

// The scales as they are stored, 16 bits a row.
PackStatus search_scales(const Scheme &scheme, const float *values, uint16_t *codes, int8_t *w) {
  if (scheme.affine)
    return search_affine(values, scheme.group, codes, w);
  float scales[kRows];
  PackStatus status = search_group(family_of(scheme).plan, values, scheme.group, scales, w);
  for (int r = 0; r < kRows && status == PackStatus::kOk; ++r)
    codes[r] = f32_to_f16(scales[r]);
  return status;
}

PackStatus pack_group(const Scheme &scheme, const float *values, char *scale_bytes, uint8_t *u) {
  uint16_t codes[kRows];
  int8_t w[kMaxGroup * kRows];
  PackStatus status = search_scales(scheme, values, codes, w);
  if (status != PackStatus::kOk)
    return status;
  for (int r = 0; r < kRows; ++r)
    store_16(codes[r], scale_bytes + 2 * r);
  for (int i = 0; i < scheme.group * kRows; ++i)
    u[i] = uint8_t(w[i] + scheme.zero);
  return PackStatus::kOk;
}

float value_of(const Scheme &scheme, int u, uint16_t code) {
  float w = float(u - scheme.zero);
  return scheme.affine ? (w + affine_offset(code)) * affine_scale(code) : w * f16_to_f32(code);
}

} // namespace

PackStatus pack_block(const Scheme &scheme, std::span<const float> rows, int64_t columns, std::span<char> out) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(int64_t(out.size()) == scheme.chunks(columns) * scheme.chunk_bytes() && "a whole row block");
  float values[kMaxGroup * kRows];
  uint8_t u[2 * kMaxGroup * kRows];
  char *chunk = out.data();
  for (int64_t first = 0; first < columns; first += scheme.columns_per_chunk(), chunk += scheme.chunk_bytes()) {
    for (int half = 0; half < 2; ++half) {
      gather_group(rows, columns, first + half * scheme.group, scheme.group, values);
      PackStatus status = pack_group(scheme, values, chunk + half * 2 * kRows, u + half * scheme.group * kRows);
      if (status != PackStatus::kOk)
        return status;
    }
    family_of(scheme).pack_lines(u, 2 * scheme.group, chunk + kScaleBytes);
  }
  return PackStatus::kOk;
}

void unpack_block(const Scheme &scheme, std::span<const char> block, int64_t columns, std::span<float> rows) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(int64_t(block.size()) == scheme.chunks(columns) * scheme.chunk_bytes() && "a whole row block");
  uint8_t u[2 * kMaxGroup * kRows];
  const char *chunk = block.data();
  for (int64_t first = 0; first < columns; first += scheme.columns_per_chunk(), chunk += scheme.chunk_bytes()) {
    family_of(scheme).unpack_lines(chunk + kScaleBytes, 2 * scheme.group, u);
    int64_t count = std::min<int64_t>(columns - first, scheme.columns_per_chunk());
    for (int64_t c = 0; c < count; ++c)
      for (int r = 0; r < kRows; ++r) {
        const char *scale = chunk + (c / scheme.group) * 2 * kRows + 2 * r;
        rows[r * columns + first + c] = value_of(scheme, u[c * kRows + r], load_16(scale));
      }
  }
}

} // namespace llmrt::packing
