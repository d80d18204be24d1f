#include "compiler/emit/WeightPacker.h"

#include "codegen/lowering/RopeFrequencies.h"

#include <algorithm>

namespace llmc {
namespace {

// The rows of a checkpoint's tensors.
class SourceRows final : public packing::RowReader {
public:
  SourceRows(const PlannedWeight &weight, const TensorSource &tensors) : weight(weight), tensors(tensors) {}

  llmrt::Status read(size_t source, int64_t first, int64_t count, std::span<float> out) override {
    llvm::Error error = readFrom(llvm::cast<llm::SourceAttr>(weight.op.getSources()[unsigned(source)]), first, count,
                                 llvm::MutableArrayRef<float>(out.data(), out.size()));
    return error ? llmrt::Status(llmrt::StatusCode::kNotFound, llvm::toString(std::move(error))) : llmrt::ok_status();
  }

private:
  llvm::Error readFrom(llm::SourceAttr source, int64_t first, int64_t count, llvm::MutableArrayRef<float> out) {
    const TensorInfo *tensor = tensors.find(source.getTensor());
    if (!tensor) return llvm::createStringError("the checkpoint has no tensor " + source.getTensor());
    return tensors.readRows(*tensor, source.getFirst() + first, count, source.getTranspose(), out);
  }

  const PlannedWeight &weight;
  const TensorSource &tensors;
};

// Values that llmc computes.
class ComputedRows final : public packing::RowReader {
public:
  explicit ComputedRows(std::vector<float> values) : values(std::move(values)) {}
  llmrt::Status read(size_t, int64_t first, int64_t count, std::span<float> out) override {
    std::copy_n(values.begin() + first, count, out.begin());
    return llmrt::ok_status();
  }

private:
  std::vector<float> values;
};

} // namespace

llvm::Expected<std::vector<float>> computedValues(const PlannedWeight &weight) {
  if (*weight.op.getComputed() != "rope_frequencies")
    return llvm::createStringError("weight " + weight.name + ": llmc cannot compute " + *weight.op.getComputed());
  std::vector<float> values = ropeFrequencies(*weight.op.getRope());
  values.resize(size_t(weight.form.rows));
  return values;
}

static llvm::Error toError(const PlannedWeight &weight, const llmrt::Status &status) {
  if (status.ok()) return llvm::Error::success();
  if (status.code() != llmrt::StatusCode::kCorrupt)
    return llvm::createStringError("weight " + weight.name + ": " + status.message());
  return llvm::createStringError("weight " + weight.name + " " + status.message() +
                                 "; the checkpoint is damaged, or needs another --dtype or --quantization");
}

llvm::Error packBlocks(const PlannedWeight &weight, const TensorSource &tensors, int64_t first, int64_t count,
                       std::vector<float> &rows, llvm::MutableArrayRef<char> out) {
  std::span<char> packed(out.data(), out.size());
  if (!weight.op.getComputed()) {
    SourceRows reader(weight, tensors);
    return toError(weight, packing::pack_blocks(weight.form, reader, first, count, rows, packed));
  }
  auto values = computedValues(weight);
  if (!values) return values.takeError();
  ComputedRows reader(std::move(*values));
  return toError(weight, packing::pack_blocks(weight.form, reader, first, count, rows, packed));
}

} // namespace llmc
