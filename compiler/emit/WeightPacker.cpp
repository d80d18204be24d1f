#include "compiler/emit/WeightPacker.h"

#include "codegen/lowering/RopeFrequencies.h"

#include <algorithm>
#include <cstring>

namespace llmc {

static constexpr int64_t kBlockRows = 16;

// Rows [first, first + count) of one source, transformed as it says, over zeros.
static llvm::Error readSource(llm::SourceAttr source, const TensorSource &tensors, int64_t first, int64_t count,
                              llvm::MutableArrayRef<float> out) {
  if (source.getZeros()) return llvm::Error::success(); // as `out` is already
  const TensorInfo *tensor = tensors.find(source.getTensor());
  if (!tensor) return llvm::createStringError("the checkpoint has no tensor " + source.getTensor());
  if (llvm::Error error = tensors.readRows(*tensor, source.getFirst() + first, count, source.getTranspose(), out))
    return error;
  float scale = float(double(source.getScale())), add = float(double(source.getAdd()));
  if (scale != 1)
    for (float &value : out) value *= scale;
  if (add != 0)
    for (float &value : out) value += add;
  return llvm::Error::success();
}

// Rows [first, first + count) of the weight before interleaving: its sources, one below the other.
static llvm::Error readRows(const PlannedWeight &weight, const TensorSource &tensors, int64_t first, int64_t count,
                            llvm::MutableArrayRef<float> out) {
  int64_t columns = weight.isVector() ? 1 : weight.columns, start = 0;
  for (auto source : weight.op.getSources().getAsRange<llm::SourceAttr>()) {
    int64_t from = std::max(first, start), to = std::min(first + count, start + source.getCount());
    if (from < to)
      if (llvm::Error error = readSource(source, tensors, from - start, to - from,
                                         out.slice((from - first) * columns, (to - from) * columns)))
        return error;
    start += source.getCount();
  }
  return llvm::Error::success();
}

// The rows of one block; those that do not exist are zero.
static llvm::Error readBlock(const PlannedWeight &weight, const TensorSource &tensors, int64_t block,
                             llvm::MutableArrayRef<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  int64_t rows = weight.op.getRows(), begin = 0;
  if (weight.op.getInterleave()) {
    rows /= 2;
    begin = block % 2 * rows;
    block /= 2;
  }
  int64_t first = block * kBlockRows, count = std::min(kBlockRows, rows - first);
  int64_t columns = weight.isVector() ? 1 : weight.columns;
  return readRows(weight, tensors, begin + first, count, out.take_front(count * columns));
}

static llvm::Error readComputed(const PlannedWeight &weight, int64_t block, llvm::MutableArrayRef<float> out) {
  if (*weight.op.getComputed() != "rope_frequencies")
    return llvm::createStringError("llmc cannot compute " + *weight.op.getComputed());
  std::vector<float> values = ropeFrequencies(*weight.op.getRope());
  values.resize(size_t(weight.blocks * kBlockRows));
  std::copy_n(values.begin() + block * kBlockRows, kBlockRows, out.begin());
  return llvm::Error::success();
}

static PackStatus packVector(const PlannedWeight &weight, llvm::MutableArrayRef<float> values,
                             llvm::MutableArrayRef<char> out) {
  mlir::Type type = weight.op.getElement();
  if (!type.isF32()) {
    char rounded[2 * kBlockRows];
    llvm::StringRef element = type.isBF16() ? "bf16" : "f16";
    if (PackStatus status = packBlockPlain(element, values, 1, rounded); status != PackStatus::Ok) return status;
    unpackBlockPlain(element, rounded, 1, values);
  }
  return packBlockPlain("f32", values, 1, out);
}

llvm::Error packBlocks(const PlannedWeight &weight, const TensorSource &tensors, int64_t first, int64_t count,
                       std::vector<float> &rows, llvm::MutableArrayRef<char> out) {
  rows.resize(size_t(kBlockRows * (weight.isVector() ? 1 : weight.columns)));
  for (int64_t block = first; block < first + count; ++block) {
    llvm::Error error = weight.op.getComputed() ? readComputed(weight, block, rows)
                                                : readBlock(weight, tensors, block, rows);
    if (error) return llvm::createStringError("weight " + weight.name + ": " + llvm::toString(std::move(error)));
    auto packed = out.slice((block - first) * weight.blockBytes, weight.blockBytes);
    PackStatus status = weight.isVector() ? packVector(weight, rows, packed)
                        : weight.scheme   ? packBlock(*weight.scheme, rows, weight.columns, packed)
                                          : packBlockPlain(weight.element, rows, weight.columns, packed);
    if (status != PackStatus::Ok)
      return llvm::createStringError("weight " + weight.name + " " + packStatusText(status) +
                                     "; the checkpoint is damaged, or needs another --dtype or --quantization");
  }
  return llvm::Error::success();
}

} // namespace llmc
