// rows16 without a scheme: [columns][16] of f32, bf16 or f16, little-endian.
#include "codegen/schemes/GroupSearch.h"
#include "codegen/schemes/Half.h"

#include "llvm/Support/Endian.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace llmc {
namespace {

using llvm::support::endian::read16le;
using llvm::support::endian::read32le;
using llvm::support::endian::write16le;
using llvm::support::endian::write32le;
constexpr int kRows = packing::kRows;

void storeF32(float value, char *to) { write32le(to, std::bit_cast<uint32_t>(value)); }
void storeBf16(float value, char *to) { write16le(to, f32ToBf16(value)); }
void storeF16(float value, char *to) { write16le(to, f32ToF16(value)); }
float loadF32(const char *from) { return std::bit_cast<float>(read32le(from)); }
float loadBf16(const char *from) { return bf16ToF32(read16le(from)); }
float loadF16(const char *from) { return f16ToF32(read16le(from)); }

// A column at a time: 16 values side by side are turned at once.
template <void (*store)(float, char *), int bytes>
void packElements(llvm::ArrayRef<float> rows, int64_t columns, char *out) {
  for (int64_t c = 0; c < columns; ++c, out += kRows * bytes) {
    float column[kRows];
    char stored[kRows * bytes];
    for (int r = 0; r < kRows; ++r) column[r] = rows[r * columns + c];
    for (int r = 0; r < kRows; ++r) store(column[r], stored + r * bytes);
    std::memcpy(out, stored, sizeof(stored));
  }
}

template <float (*load)(const char *), int bytes>
void unpackElements(const char *block, int64_t columns, llvm::MutableArrayRef<float> rows) {
  for (int64_t c = 0; c < columns; ++c)
    for (int r = 0; r < kRows; ++r) rows[r * columns + c] = load(block + (c * kRows + r) * bytes);
}

PackStatus checkRange(llvm::ArrayRef<float> rows, uint32_t firstTooLarge) {
  uint32_t largest = 0; // as bits: they order like the magnitudes
  for (float value : rows) {
    uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  if (largest >= 0x7f800000) return PackStatus::NotFinite;
  return largest >= firstTooLarge ? PackStatus::TooLarge : PackStatus::Ok;
}

} // namespace

PackStatus packBlockPlain(llvm::StringRef element, llvm::ArrayRef<float> rows, int64_t columns,
                          llvm::MutableArrayRef<char> out) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(out.size() == rows.size() * (element == "f32" ? 4 : 2) && "a whole row block");
  if (element == "f32") {
    packElements<storeF32, 4>(rows, columns, out.data());
    return checkRange(rows, 0x7f800000);
  }
  if (element == "bf16") {
    packElements<storeBf16, 2>(rows, columns, out.data());
    return checkRange(rows, 0x7f7f8000); // rounds to infinity
  }
  assert(element == "f16" && "f32, bf16 or f16");
  packElements<storeF16, 2>(rows, columns, out.data());
  return checkRange(rows, 0x477ff000); // 65520
}

void unpackBlockPlain(llvm::StringRef element, llvm::ArrayRef<char> block, int64_t columns,
                      llvm::MutableArrayRef<float> rows) {
  assert(int64_t(rows.size()) == kRows * columns && "16 whole rows");
  assert(block.size() == rows.size() * (element == "f32" ? 4 : 2) && "a whole row block");
  if (element == "f32") return unpackElements<loadF32, 4>(block.data(), columns, rows);
  if (element == "bf16") return unpackElements<loadBf16, 2>(block.data(), columns, rows);
  assert(element == "f16" && "f32, bf16 or f16");
  unpackElements<loadF16, 2>(block.data(), columns, rows);
}

} // namespace llmc
