#include "compiler/import/TensorReader.h"
#include "compiler/import/Json.h"

#include <algorithm>
#include <vector>

namespace llmc {
namespace {

constexpr int64_t kTile = 64; // stored rows, and values of each, that are turned at a time: 16 KB

} // namespace

TensorReader::Matrix TensorReader::matrixOf(const TensorInfo &tensor) {
  Matrix matrix;
  if (tensor.shape.empty()) return matrix;
  matrix.rows = tensor.shape.front();
  int64_t elements;
  for (int64_t size : llvm::ArrayRef(tensor.shape).drop_front())
    if (__builtin_mul_overflow(matrix.columns, size, &matrix.columns)) return {0, 0};
  if (__builtin_mul_overflow(matrix.rows, matrix.columns, &elements)) return {0, 0};
  return matrix;
}

std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

llvm::StringRef TensorReader::storedName(llvm::StringRef name) const {
  for (llvm::StringRef prefix : {"model.", "transformer."})
    if (name.starts_with(prefix) && !hasPrefix(prefix)) return name.drop_front(prefix.size());
  return name;
}

const TensorInfo *TensorReader::find(llvm::StringRef name) const {
  if (const TensorInfo *tensor = lookUp(name)) return tensor;
  return lookUp(storedName(name));
}

llvm::Error TensorReader::readRows(const TensorInfo &tensor, int64_t first, int64_t count, bool transpose,
                                   llvm::MutableArrayRef<float> out) const {
  Matrix stored = matrixOf(tensor);
  if (transpose && tensor.shape.size() < 2)
    return importError("tensor '" + printable(tensor.name) + "'", "a vector cannot be read transposed");
  int64_t rows = transpose ? stored.columns : stored.rows, columns = transpose ? stored.rows : stored.columns;
  if (first < 0 || count < 0 || first > rows || count > rows - first || int64_t(out.size()) != count * columns)
    return importError("tensor '" + printable(tensor.name) + "'",
                       llvm::Twine(count) + " rows from " + llvm::Twine(first) + " on, with room for " +
                           llvm::Twine(out.size()) + " values, are not in its shape " + shapeText(tensor.shape));
  const TensorInfo *own = lookUp(tensor.name);
  if (!own || own->shape != tensor.shape)
    return importError("tensor '" + printable(tensor.name) + "'", "is not one of this source's");
  if (out.empty()) return llvm::Error::success();
  if (transpose) readTransposed(*own, stored, first, count, out);
  else readSpan(*own, first * columns, out);
  return llvm::Error::success();
}

void TensorReader::readTransposed(const TensorInfo &tensor, const Matrix &stored, int64_t first, int64_t count,
                                  llvm::MutableArrayRef<float> out) const {
  int64_t rows = stored.columns, columns = stored.rows;

  std::vector<float> tile(kTile * std::min(count, kTile));
  for (int64_t row = 0; row < count; row += kTile) {
    int64_t width = std::min(kTile, count - row);
    for (int64_t column = 0; column < columns; column += kTile) {
      int64_t height = std::min(kTile, columns - column);
      for (int64_t c = 0; c < height; ++c)
        readSpan(tensor, (column + c) * rows + first + row, llvm::MutableArrayRef(tile).slice(c * width, width));
      for (int64_t r = 0; r < width; ++r)
        for (int64_t c = 0; c < height; ++c) out[(row + r) * columns + column + c] = tile[c * width + r];
    }
  }
}

} // namespace llmc
