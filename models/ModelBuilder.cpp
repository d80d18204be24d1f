#include "models/ModelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace llmc::models {

using mlir::FlatSymbolRefAttr;
using mlir::RankedTensorType;
using mlir::Value;

static mlir::Type elementOf(mlir::Builder &builder, llvm::StringRef dtype) {
  if (dtype == "bfloat16")
    return builder.getBF16Type();
  if (dtype == "float16")
    return builder.getF16Type();
  return builder.getF32Type();
}

ModelBuilder::ModelBuilder(mlir::MLIRContext &context, const ModelFacts &facts)
    : context_(context), facts_(facts), builder_(&context), weights_(&context),
      location_(mlir::UnknownLoc::get(&context)) {
  enter("config.json");
  module_ = mlir::ModuleOp::create(location_);
  element_ = elementOf(builder_, facts.dtype);
  builder_.setInsertionPointToEnd(module_->getBody());
  auto type = builder_.getFunctionType({llm::BatchType::get(&context)}, {}); // finish() adds the results
  step_ = mlir::func::FuncOp::create(builder_, location_, "step", type);
  weights_.setInsertionPoint(step_);
  mlir::Block *body = step_.addEntryBlock();
  batch_ = body->getArgument(0);
  builder_.setInsertionPointToEnd(body);
}

void ModelBuilder::enter(const llvm::Twine &place) {
  location_ = mlir::NameLoc::get(mlir::StringAttr::get(&context_, place));
}

FlatSymbolRefAttr ModelBuilder::weight(const llvm::Twine &symbol, llvm::StringRef tensor, RankedTensorType type,
                                       bool transposed) {
  auto source = llm::SourceAttr::get(&context_, tensor, 0, type.getDimSize(0), transposed, 1.0, 0.0, /*zeros=*/false);
  auto op = llm::WeightOp::create(weights_, location_, symbol.str(), type, llvm::ArrayRef<mlir::Attribute>(source));
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

FlatSymbolRefAttr ModelBuilder::matrix(const llvm::Twine &symbol, const llvm::Twine &tensor, int64_t rows,
                                       int64_t columns, bool transposed) {
  std::vector<int64_t> stored = {rows, columns};
  if (transposed)
    std::swap(stored[0], stored[1]);
  tensors_.push_back({tensor.str(), stored, TensorRole::Weight});
  return weight(symbol, tensors_.back().name, RankedTensorType::get({rows, columns}, element_), transposed);
}

FlatSymbolRefAttr ModelBuilder::vector(const llvm::Twine &symbol, const llvm::Twine &tensor, int64_t size,
                                       TensorRole role) {
  tensors_.push_back({tensor.str(), {size}, role});
  return weight(symbol, tensors_.back().name, RankedTensorType::get({size}, element_), false);
}

Value ModelBuilder::embed(FlatSymbolRefAttr table, int64_t width, FlatSymbolRefAttr positions) {
  return llm::EmbedOp::create(builder_, location_, llm::getRowsType(&context_, width), batch_, table, positions,
                              builder_.getF64FloatAttr(1.0));
}

Value ModelBuilder::norm(Value x, FlatSymbolRefAttr weight, FlatSymbolRefAttr bias, double epsilon, int64_t group) {
  auto kind = llm::NormKindAttr::get(&context_, bias ? llm::NormKind::Layer : llm::NormKind::Rms);
  return llm::NormOp::create(builder_, location_, x.getType(), x, weight, bias, kind,
                             builder_.getF64FloatAttr(epsilon), builder_.getI64IntegerAttr(group));
}

Value ModelBuilder::linear(Value x, FlatSymbolRefAttr weight, int64_t outputs, FlatSymbolRefAttr bias) {
  return llm::LinearOp::create(builder_, location_, llm::getRowsType(&context_, outputs), x, weight, bias);
}

Value ModelBuilder::slice(Value x, int64_t offset, int64_t width) {
  return llm::SliceOp::create(builder_, location_, llm::getRowsType(&context_, width), x,
                              builder_.getI64IntegerAttr(offset));
}

Value ModelBuilder::rope(Value x, int64_t heads, llm::RopeAttr rope) {
  return llm::RopeOp::create(builder_, location_, x.getType(), batch_, x, builder_.getI64IntegerAttr(heads), rope);
}

Value ModelBuilder::activation(Value x, llm::ActivationKind kind) {
  return llm::ActivationOp::create(builder_, location_, x.getType(), x, llm::ActivationKindAttr::get(&context_, kind));
}

Value ModelBuilder::add(Value left, Value right) { return llm::AddOp::create(builder_, location_, left, right); }
Value ModelBuilder::mul(Value left, Value right) { return llm::MulOp::create(builder_, location_, left, right); }

Value ModelBuilder::selectRows(Value x, bool hidden) {
  return llm::SelectRowsOp::create(builder_, location_, x.getType(), batch_, x, hidden);
}

Value ModelBuilder::attention(Value query, Value key, Value value, const Attention &a) {
  auto integer = [&](int64_t number) { return builder_.getI64IntegerAttr(number); };
  return llm::AttentionOp::create(builder_, location_, llm::getRowsType(&context_, a.heads * a.headDim), batch_, query,
                                  key, value, integer(a.layer), integer(a.heads), integer(a.kvHeads),
                                  integer(a.headDim), integer(a.headDim), builder_.getF64FloatAttr(a.scale),
                                  builder_.getF64FloatAttr(0.0), integer(a.window), FlatSymbolRefAttr(),
                                  FlatSymbolRefAttr());
}

ImportedModel ModelBuilder::finish(Value logits, Value hidden) {
  mlir::func::ReturnOp::create(builder_, location_, mlir::ValueRange{logits, hidden});
  step_.setType(builder_.getFunctionType(step_.getArgumentTypes(), {logits.getType(), hidden.getType()}));
  mlir::ModuleOp module = *module_;
  module->setAttr("llm.vocabulary", builder_.getI64IntegerAttr(facts_.vocabulary));
  module->setAttr("llm.max_positions", builder_.getI64IntegerAttr(facts_.maxPositions));
  module->setAttr("llm.positions_are_bounded", builder_.getBoolAttr(facts_.positionsAreBounded));
  module->setAttr("llm.uses_rope_length", builder_.getBoolAttr(facts_.usesRopeLength));
  module->setAttr("llm.dtype", builder_.getStringAttr(facts_.dtype));
  module->setAttr("llm.layers", builder_.getI64IntegerAttr(facts_.layers));
  module->setAttr("llm.initializer_range", builder_.getF64FloatAttr(facts_.initializerRange));
  return {std::move(module_), std::move(tensors_)};
}

} // namespace llmc::models
