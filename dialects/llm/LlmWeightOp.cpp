// llm.weight and llm.cache_group: what a module declares.
#include "dialects/llm/Llm.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace llmc::llm;

void WeightOp::build(OpBuilder &builder, OperationState &state, StringRef name, RankedTensorType type,
                     ArrayRef<Attribute> sources) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getTypeAttrName(state.name), TypeAttr::get(type));
  state.addAttribute(getSourcesAttrName(state.name), builder.getArrayAttr(sources));
}

static LogicalResult verifySources(WeightOp op) {
  int64_t rows = 0;
  for (Attribute attribute : op.getSources()) {
    auto source = dyn_cast<SourceAttr>(attribute);
    if (!source)
      return op.emitOpError("sources must be #llm.source attributes, found ") << attribute;
    if (llvm::AddOverflow(rows, source.getCount(), rows))
      return op.emitOpError("the sources have more rows than can be counted");
    if (source.getTranspose() && !op.isMatrix())
      return op.emitOpError("a vector has nothing to transpose");
  }
  if (rows != op.getRows())
    return op.emitOpError("the sources have ") << rows << " rows, the weight " << op.getRows();
  return success();
}

static LogicalResult verifyComputed(WeightOp op) {
  if (*op.getComputed() != "rope_frequencies")
    return op.emitOpError("unknown computed weight '") << *op.getComputed() << "'; known is rope_frequencies";
  if (!op.getSources().empty())
    return op.emitOpError("a computed weight has no sources");
  if (!op.getRope())
    return op.emitOpError("rope_frequencies needs `rope`");
  if (op.isMatrix() || op.getRows() != op.getRope()->getDim() / 2)
    return op.emitOpError("rope_frequencies is a vector of ") << op.getRope()->getDim() / 2 << " values";
  return success();
}

LogicalResult WeightOp::verify() {
  auto type = getTensorType();
  if (!type.hasStaticShape() || type.getRank() < 1 || type.getRank() > 2 || llvm::is_contained(type.getShape(), 0))
    return emitOpError("a weight is a vector tensor<N> or a matrix tensor<NxK>, got ") << type;
  if (!getElement().isF32() && !getElement().isF16() && !getElement().isBF16())
    return emitOpError("elements are f32, f16 or bf16, got ") << getElement();
  if (!isKnownScheme(getScheme()))
    return emitOpError("unknown quantization scheme '") << getScheme() << "'";
  if (getScheme() != "none" && !isMatrix())
    return emitOpError("only a matrix can be quantized");
  if (getInterleave() && getRows() % 2)
    return emitOpError("interleave deals out two equal halves in blocks; it needs an even number of rows");
  if (getRope() && !getComputed())
    return emitOpError("`rope` belongs to a computed weight");
  return getComputed() ? verifyComputed(*this) : verifySources(*this);
}

LogicalResult CacheGroupOp::verify() {
  if (getIndex() >= maxCacheGroups)
    return emitOpError("a step has at most 8 cache groups, with indices 0 to 7; this one's is ") << getIndex();
  if (getPageTokens() != tokensPerPage)
    return emitOpError("pages hold 16 tokens, not ") << getPageTokens();
  if (!getElement().isF32() && !getElement().isF16() && !getElement().isBF16() && !getElement().isSignlessInteger(8))
    return emitOpError("keys and values are f32, f16, bf16 or i8, not ") << getElement();
  return success();
}
