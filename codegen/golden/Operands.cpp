#include "codegen/golden/Operands.h"

#include "runtime/packing/half.h"

#include <cmath>

namespace llmc::golden {

Floats numbers(size_t count, uint32_t seed, float size) {
  Floats values(count);
  uint64_t state = seed;
  for (float &value : values) {
    // splitmix64 (Steele, Lea, Flood 2014)
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    value = float(int64_t((z ^ (z >> 31)) % 129) - 64) / 64 * size;
  }
  return values;
}

std::vector<double> toDouble(const Floats &values) { return {values.begin(), values.end()}; }

reference::Element elementOf(llvm::StringRef name) {
  if (name == "f16") return reference::Element::F16;
  return name == "bf16" ? reference::Element::BF16 : reference::Element::F32;
}

Bytes packMatrix(const Scheme *scheme, llvm::StringRef element, const Floats &matrix, int64_t rows, int64_t columns) {
  int64_t block = packing::block_bytes(scheme, element, columns);
  Bytes bytes(ceilDiv(rows, 16) * block);
  for (int64_t at = 0; at * 16 < rows; ++at) {
    Floats tile(16 * columns);
    int64_t first = at * 16 * columns, count = std::min(rows * columns - first, 16 * columns);
    std::copy_n(matrix.begin() + first, count, tile.begin());
    llvm::MutableArrayRef<char> out(bytes.data() + at * block, block);
    PackStatus status = scheme ? packing::pack_block(*scheme, tile, columns, out)
                               : packing::pack_block_plain(element, tile, columns, out);
    if (status != PackStatus::kOk) llvm::report_fatal_error("numbers of a golden vector cannot be packed");
  }
  return bytes;
}

Int8Operands packInt8Rows(const Scheme &scheme, const reference::Int8Rows &x, int64_t rows, int64_t columns) {
  int64_t padded = scheme.chunks(columns) * scheme.columns_per_chunk(), groups = padded / scheme.group;
  int64_t runs = ceilDiv(padded, 128), own = ceilDiv(columns, 128);
  std::vector<int8_t> q(rows * padded);
  std::vector<int32_t> corr(rows * groups);
  Floats scale(rows * runs);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t first = row / 16 * 16, together = std::min<int64_t>(16, rows - first), lane = row - first;
    for (int64_t i = 0; i < columns; ++i) {
      int8_t value = x.q[row * columns + i];
      q[first * padded + (i / 4 * together + lane) * 4 + i % 4] = value;
      corr[first * groups + i / scheme.group * together + lane] -= scheme.zero * value;
    }
    for (int64_t run = 0; run < own; ++run)
      scale[first * runs + run * together + lane] = x.scales[row * own + run];
  }
  return {bytesOf(q), bytesOf(corr), bytesOf(scale)};
}

Bytes packBf16Rows(const std::vector<double> &x, int64_t rows, int64_t columns, int64_t padded, int64_t bytes) {
  constexpr int64_t kPlaces[8] = {0, 2, 4, 6, 1, 3, 5, 7}; // pairs of columns 0 2, 4 6, 1 3, 5 7
  Bytes out(rows * padded * bytes);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < columns; ++i) {
      int64_t first = row / 16 * 16, together = std::min<int64_t>(16, rows - first);
      // Column 2k of eight is of the pair kPlaces says, and the first or the second of it.
      int64_t place = kPlaces[i % 8], pair = i / 8 * 4 + place % 4;
      int64_t at = first * padded + (pair * together + row - first) * 2 + place / 4;
      float value = float(x[row * columns + i]);
      std::memcpy(out.data() + at * bytes, reinterpret_cast<const char *>(&value) + 4 - bytes, bytes);
    }
  return out;
}

std::vector<double> roundToBf16(std::vector<double> values) {
  for (double &value : values) value = std::abs(value) < 0x1p-100 ? 0 : value;
  reference::roundAll(reference::Element::BF16, values);
  return values;
}

// ---- pages -----------------------------------------------------------------------------------------------------------

static int64_t valueBytes(llvm::StringRef element) { return element == "f32" ? 4 : element == "int8" ? 1 : 2; }

int64_t PageShape::pageBytes() const {
  int64_t scales = element == "int8" ? 2 * 16 * 4 : 0;
  return kvHeads * (scales + 16 * (keyDim + valuePad) * valueBytes(element));
}

namespace {

// One array of a head's part of a page, [deep / step][lanes][step]: K has tokens as lanes, V has columns.
struct PageArray {
  llvm::StringRef element;
  char *start;
  int64_t lanes;

  void store(int64_t deep, int64_t lane, float value) const {
    int64_t step = element == "bf16" ? 2 : 1;
    char *to = start + ((deep / step * lanes + lane) * step + deep % step) * valueBytes(element);
    if (element == "int8") {
      *to = char(int8_t(value));
    } else if (element == "f16") {
      uint16_t half = packing::f32_to_f16(value);
      std::memcpy(to, &half, 2);
    } else { // the upper half of an f32 is the bf16
      int64_t bytes = valueBytes(element);
      std::memcpy(to, reinterpret_cast<const char *>(&value) + 4 - bytes, bytes);
    }
  }
};

// Rounds a token's key or value of a head; gives what is stored, and for int8 its scale.
std::vector<float> roundHead(const PageShape &shape, llvm::MutableArrayRef<double> head, float &scale) {
  if (shape.element == "int8") {
    reference::Int8Rows rounded = reference::quantizeInt8(head, 1, int64_t(head.size()));
    scale = rounded.scales[0];
    for (size_t i = 0; i < head.size(); ++i) head[i] = double(rounded.q[i]) * scale;
    return {rounded.q.begin(), rounded.q.end()};
  }
  reference::roundAll(elementOf(shape.element), head);
  return {head.begin(), head.end()};
}

} // namespace

Bytes packPages(const PageShape &shape, const std::vector<int32_t> &table, int64_t pages, std::vector<double> &keys,
                std::vector<double> &values) {
  Bytes pool(pages * shape.pageBytes());
  int64_t length = int64_t(keys.size()) / (shape.kvHeads * shape.keyDim);
  bool scaled = shape.element == "int8";
  for (int64_t token = 0; token < length; ++token)
    for (int64_t head = 0; head < shape.kvHeads; ++head) {
      char *part = pool.data() + table[token / 16] * shape.pageBytes() + head * (shape.pageBytes() / shape.kvHeads);
      char *first = part + (scaled ? 2 * 16 * 4 : 0);
      int64_t slot = token % 16, keyBytes = 16 * shape.keyDim * valueBytes(shape.element);
      PageArray k{shape.element, first, 16}, v{shape.element, first + keyBytes, shape.valuePad};
      int64_t index = token * shape.kvHeads + head;
      float keyScale = 0, valueScale = 0;
      auto key = roundHead(shape, {keys.data() + index * shape.keyDim, size_t(shape.keyDim)}, keyScale);
      auto value = roundHead(shape, {values.data() + index * shape.valueDim, size_t(shape.valueDim)}, valueScale);
      for (int64_t i = 0; i < shape.keyDim; ++i) k.store(i, slot, key[i]);
      for (int64_t i = 0; i < shape.valueDim; ++i) v.store(slot, i, value[i]);
      if (!scaled) continue;
      std::memcpy(part + 4 * slot, &keyScale, 4);
      std::memcpy(part + 4 * (16 + slot), &valueScale, 4);
    }
  return pool;
}

} // namespace llmc::golden
