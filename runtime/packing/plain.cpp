// rows16 without a scheme: [columns][16] of f32, bf16 or f16, little-endian.
#include "runtime/packing/group_search.h"
#include "runtime/packing/half.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace llmrt::packing {

namespace {

void store_f32(float value, char *to) { std::memcpy(to, &value, sizeof value); }
void store_bf16(float value, char *to) { store_16(f32_to_bf16(value), to); }
void store_f16(float value, char *to) { store_16(f32_to_f16(value), to); }
float load_f32(const char *from) {
  float value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
float load_bf16(const char *from) { return bf16_to_f32(load_16(from)); }
float load_f16(const char *from) { return f16_to_f32(load_16(from)); }

// A column at a time: 16 values side by side are turned at once.
template <void (*store)(float, char *), int bytes>
void pack_elements(std::span<const float> rows, int64_t columns, char *out) {
  for (int64_t c = 0; c < columns; ++c, out += kRows * bytes) {
    float column[kRows];
    char stored[kRows * bytes];
    for (int r = 0; r < kRows; ++r)
      column[r] = rows[r * columns + c];
    for (int r = 0; r < kRows; ++r)
      store(column[r], stored + r * bytes);
    std::memcpy(out, stored, sizeof(stored));
  }
}

template <float (*load)(const char *), int bytes>
void unpack_elements(const char *block, int64_t columns, std::span<float> rows) {
  for (int64_t c = 0; c < columns; ++c)
    for (int r = 0; r < kRows; ++r)
      rows[r * columns + c] = load(block + (c * kRows + r) * bytes);
}

PackStatus check_range(std::span<const float> rows, uint32_t first_too_large) {
  uint32_t largest = 0; // as bits: they order like the magnitudes
  for (float value : rows) {
    uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  if (largest >= 0x7f800000)
    return PackStatus::kNotFinite;
  return largest >= first_too_large ? PackStatus::kTooLarge : PackStatus::kOk;
}

} // namespace

PackStatus pack_block_plain(std::string_view element, std::span<const float> rows, int64_t columns,
                            std::span<char> out) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(out.size() == rows.size() * (element == "f32" ? 4 : 2) && "a whole row block");
  if (element == "f32") {
    pack_elements<store_f32, 4>(rows, columns, out.data());
    return check_range(rows, 0x7f800000);
  }
  if (element == "bf16") {
    pack_elements<store_bf16, 2>(rows, columns, out.data());
    return check_range(rows, 0x7f7f8000); // rounds to infinity
  }
  assert(element == "f16" && "f32, bf16 or f16");
  pack_elements<store_f16, 2>(rows, columns, out.data());
  return check_range(rows, 0x477ff000); // 65520
}

void unpack_block_plain(std::string_view element, std::span<const char> block, int64_t columns, std::span<float> rows) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(block.size() == rows.size() * (element == "f32" ? 4 : 2) && "a whole row block");
  if (element == "f32")
    return unpack_elements<load_f32, 4>(block.data(), columns, rows);
  if (element == "bf16")
    return unpack_elements<load_bf16, 2>(block.data(), columns, rows);
  assert(element == "f16" && "f32, bf16 or f16");
  unpack_elements<load_f16, 2>(block.data(), columns, rows);
}

} // namespace llmrt::packing
