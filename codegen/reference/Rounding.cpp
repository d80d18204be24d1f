#include "codegen/reference/Oracle.h"
#include "runtime/packing/half.h"
#include "codegen/schemes/Scheme.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace llmc::reference {

double roundTo(Element element, double value) {
  float single = float(value);
  switch (element) {
  case Element::F32:
    return single;
  case Element::F16:
    return packing::f16_to_f32(packing::f32_to_f16(single));
  case Element::BF16:
    return packing::bf16_to_f32(packing::f32_to_bf16(single));
  }
  return single;
}

void roundAll(Element element, llvm::MutableArrayRef<double> values) {
  for (double &value : values)
    value = roundTo(element, value);
}

constexpr int64_t kScaleColumns = 128;

static void quantizeGroup(Input x, int8_t *q, float &scale) {
  float largest = 0;
  for (double value : x)
    largest = std::max(largest, std::fabs(float(value)));
  scale = largest / 127.0f;
  float inverse = largest == 0 ? 0 : 127.0f / largest;
  for (size_t i = 0; i < x.size(); ++i)
    q[i] = int8_t(std::clamp(std::nearbyint(float(x[i]) * inverse), -127.0f, 127.0f));
}

Int8Rows quantizeInt8(Input x, int64_t rows, int64_t columns) {
  assert(int64_t(x.size()) == rows * columns);
  int64_t scales = (columns + kScaleColumns - 1) / kScaleColumns;
  Int8Rows result{std::vector<int8_t>(x.size()), std::vector<float>(rows * scales)};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < scales; ++group) {
      int64_t first = group * kScaleColumns, count = std::min(kScaleColumns, columns - first);
      quantizeGroup(x.slice(row * columns + first, count), &result.q[row * columns + first],
                    result.scales[row * scales + group]);
    }
  return result;
}

Values roundInt8(Input x, int64_t rows, int64_t columns) {
  Int8Rows rounded = quantizeInt8(x, rows, columns);
  int64_t scales = (columns + kScaleColumns - 1) / kScaleColumns;
  Values result(x.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      result[row * columns + column] =
          double(rounded.q[row * columns + column]) * rounded.scales[row * scales + column / kScaleColumns];
  return result;
}

void roundInt8Groups(llvm::MutableArrayRef<double> values, int64_t group) {
  std::vector<int8_t> q(group);
  for (size_t first = 0; first < values.size(); first += group) {
    float scale;
    quantizeGroup(values.slice(first, group), q.data(), scale);
    for (int64_t i = 0; i < group; ++i)
      values[first + i] = double(q[i]) * scale;
  }
}

Values roundWeight(llvm::StringRef name, Element element, llvm::ArrayRef<float> weight, int64_t rows,
                   int64_t columns) {
  assert(int64_t(weight.size()) == rows * columns);
  Values result(weight.begin(), weight.end());
  if (name == "none") {
    roundAll(element, result);
    return result;
  }
  const Scheme *scheme = findScheme(name);
  assert(scheme && "the verifier knows all schemes");
  std::vector<char> packed(scheme->chunks(columns) * scheme->chunk_bytes());
  std::vector<float> block(16 * columns);
  for (int64_t first = 0; first < rows; first += 16) {
    int64_t count = std::min<int64_t>(16, rows - first);
    std::fill(block.begin(), block.end(), 0.0f);
    std::copy_n(weight.begin() + first * columns, count * columns, block.begin());
    packing::pack_block(*scheme, block, columns, packed);
    packing::unpack_block(*scheme, packed, columns, block);
    std::copy_n(block.begin(), count * columns, result.begin() + first * columns);
  }
  return result;
}

} // namespace llmc::reference
