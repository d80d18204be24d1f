#include "codegen/reference/Epilogue.h"
#include "codegen/reference/Step.h"

#include <cmath>

namespace llmc::reference {

// The input after the prologue's norm and the rounding of `activations`.
llvm::Expected<Values> Step::linearInput(llm::LinearOp op) {
  const Matrix &input = get(op.getInput());
  Values x = input.values;
  if (op.getNorm()) {
    llvm::Expected<const Weight *> scale = weight(op, op.getNormWeightAttr());
    if (!scale)
      return scale.takeError();
    llvm::Expected<const Weight *> bias = weight(op, op.getNormBiasAttr());
    if (!bias)
      return bias.takeError();
    Norm kind = *op.getNorm() == llm::NormKind::Rms ? Norm::Rms : Norm::Layer;
    x = reference::norm(kind, x, input.columns, input.columns, (*scale)->values, (*bias)->values,
                        op.getNormEpsilon() ? op.getNormEpsilon()->convertToDouble() : 0);
  }
  if (op.getActivations() == "int8")
    return roundInt8(x, input.rows(), input.columns);
  if (op.getActivations() == "bf16") {
    for (double &value : x)
      value = std::abs(value) < 0x1p-100 ? 0 : value;
    roundAll(Element::BF16, x);
  }
  return x;
}

llvm::Expected<Matrix> Step::linear(llm::LinearOp op) {
  if (op.getAdapter())
    return failure(op, "adapters are not supported yet");
  llvm::Expected<const Weight *> weights = weight(op, op.getWeightAttr());
  if (!weights)
    return weights.takeError();
  llvm::Expected<Values> x = linearInput(op);
  if (!x)
    return x.takeError();
  std::vector<const Weight *> vectors;
  for (mlir::Attribute name : op.getVectors()) {
    llvm::Expected<const Weight *> vector = weight(op, llvm::cast<mlir::FlatSymbolRefAttr>(name));
    if (!vector)
      return vector.takeError();
    vectors.push_back(*vector);
  }
  llvm::Expected<Epilogue> epilogue = Epilogue::make(op.getEpilogue());
  if (!epilogue)
    return epilogue.takeError();

  int64_t rows = get(op.getInput()).rows(), outputs = (*weights)->rows;
  Values sums = reference::linear(*x, rows, (*weights)->columns, (*weights)->values, outputs);
  Matrix result{llm::getColumns(op.getResult()), Values(rows * llm::getColumns(op.getResult()))};
  // A gated weight's first half are gate rows, its second half up rows; so are its vectors' values.
  int64_t fanout = op.getGated() ? 2 : 1;
  Values arguments;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < result.columns; ++column) {
      arguments.clear();
      for (int64_t part = 0; part < fanout; ++part)
        arguments.push_back(sums[row * outputs + part * result.columns + column]);
      for (mlir::Value other : op.getRows())
        arguments.push_back(get(other).values[row * result.columns + column]);
      for (const Weight *vector : vectors)
        for (int64_t part = 0; part < fanout; ++part)
          arguments.push_back(vector->values[part * result.columns + column]);
      result.values[row * result.columns + column] = epilogue->run(arguments);
    }
  return result;
}

} // namespace llmc::reference
