#include "codegen/reference/Step.h"

namespace llmc::reference {

llvm::Expected<Matrix> Step::embed(llm::EmbedOp op) {
  llvm::Expected<const Weight *> table = weight(op, op.getTableAttr());
  if (!table)
    return table.takeError();
  llvm::Expected<const Weight *> positions = weight(op, op.getPositionsAttr(), /*isPositions=*/true);
  if (!positions)
    return positions.takeError();
  Matrix result{(*table)->columns, {}};
  double scale = op.getScale().convertToDouble();
  for (size_t row = 0; row < tokens_.size(); ++row) {
    int64_t token = tokens_[row], position = positions_[row];
    if (token < 0 || token >= (*table)->rows)
      return failure(op, "token " + llvm::Twine(token) + " is not one of " + llvm::Twine((*table)->rows));
    if (op.getPositions() && position >= (*positions)->rows)
      return failure(op, "position " + llvm::Twine(position) + " is not one of " + llvm::Twine((*positions)->rows));
    for (int64_t i = 0; i < result.columns; ++i)
      result.values.push_back((*table)->values[token * result.columns + i] * scale +
                              (op.getPositions() ? (*positions)->values[position * result.columns + i] : 0));
  }
  return result;
}

llvm::Expected<Matrix> Step::selectRows(llm::SelectRowsOp op) {
  const Matrix &input = get(op.getInput());
  if (!options_.lastRowsOnly)
    return input;
  Matrix result{input.columns, {}};
  for (size_t sequence = 1; sequence < starts_.size(); ++sequence) {
    if (starts_[sequence] == starts_[sequence - 1])
      continue;
    auto end = input.values.begin() + starts_[sequence] * input.columns;
    result.values.insert(result.values.end(), end - input.columns, end);
  }
  return result;
}

llvm::Expected<Matrix> Step::norm(llm::NormOp op) {
  llvm::Expected<const Weight *> scale = weight(op, op.getWeightAttr());
  if (!scale)
    return scale.takeError();
  llvm::Expected<const Weight *> bias = weight(op, op.getBiasAttr());
  if (!bias)
    return bias.takeError();
  const Matrix &input = get(op.getInput());
  int64_t group = op.getGroup() ? int64_t(op.getGroup()) : input.columns;
  Norm kind = op.getKind() == llm::NormKind::Rms ? Norm::Rms : Norm::Layer;
  return Matrix{input.columns, reference::norm(kind, input.values, input.columns, group, (*scale)->values,
                                               (*bias)->values, op.getEpsilon().convertToDouble())};
}

Matrix Step::slice(llm::SliceOp op) {
  const Matrix &input = get(op.getInput());
  Matrix result{llm::getColumns(op.getResult()), {}};
  for (int64_t row = 0; row < input.rows(); ++row) {
    auto first = input.values.begin() + row * input.columns + op.getOffset();
    result.values.insert(result.values.end(), first, first + result.columns);
  }
  return result;
}

Matrix Step::map(mlir::Value input, llvm::function_ref<double(double)> function) {
  Matrix result = get(input);
  for (double &value : result.values)
    value = function(value);
  return result;
}

Matrix Step::zip(mlir::Value left, mlir::Value right, llvm::function_ref<double(double, double)> function) {
  Matrix result = get(left);
  const Matrix &other = get(right);
  for (size_t i = 0; i < result.values.size(); ++i)
    result.values[i] = function(result.values[i], other.values[i]);
  return result;
}

} // namespace llmc::reference
