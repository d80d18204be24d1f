#include "codegen/reference/Step.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::reference {

llvm::Expected<const Weight *> Step::weight(mlir::Operation *user, mlir::FlatSymbolRefAttr name, bool isPositions) {
  static const Weight none;
  if (!name)
    return &none;
  llm::WeightOp op = llm::lookupWeight(user, name);
  if (!op)
    return failure(user, "there is no weight " + name.getValue());
  auto found = weights_.find(op);
  if (found != weights_.end())
    return &found->second;
  // Vectors and position tables are f32 in the artifact, whatever the checkpoint's element type.
  llvm::Expected<Weight> read = readWeight(op, /*rounded=*/op.isMatrix() && !isPositions);
  if (!read)
    return read.takeError();
  return &weights_.emplace(op, std::move(*read)).first->second;
}

llvm::Expected<Weight> Step::readWeight(llm::WeightOp op, bool rounded) {
  if (op.getComputed())
    return failure(op, "computed weights belong to the rope they are made for");
  if (op.getScheme() != "none" && !findScheme(op.getScheme()))
    return failure(op, "there is no scheme " + op.getScheme());
  Weight result{op.getRows(), op.getColumns(), {}};
  std::vector<float> values;
  for (mlir::Attribute attribute : op.getSources()) {
    auto source = llvm::cast<llm::SourceAttr>(attribute);
    size_t first = values.size(), count = source.getCount() * result.columns;
    values.resize(first + count);
    if (source.getZeros())
      continue;
    llvm::MutableArrayRef<float> rows = llvm::MutableArrayRef(values).slice(first, count);
    if (llvm::Error error =
            readRows_(source.getTensor(), source.getFirst(), source.getCount(), source.getTranspose(), rows))
      return error;
    for (float &value : rows)
      value = value * float(source.getScale()) + float(source.getAdd());
  }
  if (rounded)
    result.values = roundWeight(op.getScheme(), elementOf(op.getElement()), values, result.rows, result.columns);
  else
    result.values.assign(values.begin(), values.end());
  return result;
}

} // namespace llmc::reference
