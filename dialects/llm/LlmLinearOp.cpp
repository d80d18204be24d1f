// llm.linear: its text, what it may look like, and the operations of its epilogue.
#include "dialects/llm/Llm.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace llmc::llm;

#define GET_OP_CLASSES
#include "dialects/llm/LlmOps.cpp.inc"

void LlmDialect::registerOperations() {
  addOperations<
#define GET_OP_LIST
#include "dialects/llm/LlmOps.cpp.inc"
      >();
}

// ---- building ------------------------------------------------------------------------------------------------------
Block *LinearOp::createEpilogue(OpBuilder &builder) {
  Block *block = &getEpilogue().emplaceBlock();
  unsigned count = getFanout() + getRows().size() + getVectors().size() * getFanout();
  for (unsigned i = 0; i < count; ++i)
    block->addArgument(builder.getF32Type(), getLoc());
  return block;
}

void LinearOp::build(OpBuilder &builder, OperationState &state, RankedTensorType result, Value input,
                     FlatSymbolRefAttr weight, FlatSymbolRefAttr bias) {
  state.addTypes(result);
  state.addOperands(input);
  state.addAttribute(getWeightAttrName(state.name), weight);
  Region *epilogue = state.addRegion();
  if (!bias)
    return;
  state.addAttribute(getVectorsAttrName(state.name), builder.getArrayAttr(bias));
  Block *block = &epilogue->emplaceBlock();
  block->addArguments({builder.getF32Type(), builder.getF32Type()}, {state.location, state.location});
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(block);
  Value sum = arith::AddFOp::create(builder, state.location, block->getArgument(0), block->getArgument(1));
  YieldOp::create(builder, state.location, sum);
}

void LinearOp::build(OpBuilder &, OperationState &state, TypeRange results, ValueRange operands,
                     ArrayRef<NamedAttribute> attributes) {
  state.addTypes(results);
  state.addOperands(operands);
  state.addAttributes(attributes);
  state.addRegion();
}

// ---- text ----------------------------------------------------------------------------------------------------------
// linear %x, @w rows(%r, %s) vectors [@b] gated norm rms @n bias @nb eps 1.0e-5 activations "int8"
//   epilogue (%acc: f32, ...) { ... } {attributes} : tensor<?xKxf32> -> tensor<?xMxf32>
static ParseResult parseNorm(OpAsmParser &parser, OperationState &state) {
  StringRef word;
  FlatSymbolRefAttr weight, bias;
  FloatAttr epsilon;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<NormKind> kind = symbolizeNormKind(word);
  if (!kind)
    return parser.emitError(location, "expected a kind of norm: rms or layer");
  state.addAttribute("norm", NormKindAttr::get(parser.getContext(), *kind));
  OptionalParseResult hasWeight = parser.parseOptionalAttribute(weight, Type(), "norm_weight", state.attributes);
  if (hasWeight.has_value() && failed(*hasWeight))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("bias")) && parser.parseAttribute(bias, "norm_bias", state.attributes))
    return failure();
  return failure(parser.parseKeyword("eps") ||
                 parser.parseAttribute(epsilon, parser.getBuilder().getF64Type(), "norm_epsilon", state.attributes));
}

static ParseResult parseOptions(OpAsmParser &parser, OperationState &state) {
  std::string activations;
  ArrayAttr vectors;
  if (succeeded(parser.parseOptionalKeyword("vectors")) && parser.parseAttribute(vectors, "vectors", state.attributes))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("gated")))
    state.addAttribute("gated", parser.getBuilder().getBoolAttr(true));
  if (succeeded(parser.parseOptionalKeyword("norm")) && parseNorm(parser, state))
    return failure();
  if (failed(parser.parseOptionalKeyword("activations")))
    return success();
  if (parser.parseString(&activations))
    return failure();
  state.addAttribute("activations", parser.getBuilder().getStringAttr(activations));
  return success();
}

ParseResult LinearOp::parse(OpAsmParser &parser, OperationState &state) {
  OpAsmParser::UnresolvedOperand input;
  SmallVector<OpAsmParser::UnresolvedOperand> rows;
  FlatSymbolRefAttr weight;
  RankedTensorType inputType, resultType;
  if (parser.parseOperand(input) || parser.parseComma() || parser.parseAttribute(weight, "weight", state.attributes))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("rows")) &&
      parser.parseOperandList(rows, OpAsmParser::Delimiter::Paren))
    return failure();
  Region *epilogue = state.addRegion();
  if (parseOptions(parser, state) || parseEpilogue(parser, *epilogue) ||
      parser.parseOptionalAttrDict(state.attributes) || parser.parseColonType(inputType) || parser.parseArrow() ||
      parser.parseType(resultType))
    return failure();
  state.addTypes(resultType);
  return failure(parser.resolveOperand(input, inputType, state.operands) ||
                 parser.resolveOperands(rows, resultType, state.operands));
}

void LinearOp::print(OpAsmPrinter &printer) {
  printer << " " << getInput() << ", " << getWeightAttr();
  if (!getRows().empty())
    printer << " rows(" << getRows() << ")";
  if (!getVectors().empty())
    printer << " vectors " << getVectors();
  if (getGated())
    printer << " gated";
  if (getNorm()) {
    printer << " norm " << stringifyNormKind(*getNorm());
    if (getNormWeightAttr())
      printer << " " << getNormWeightAttr();
    if (getNormBiasAttr())
      printer << " bias " << getNormBiasAttr();
    printer << " eps ";
    printer.printAttributeWithoutType(getNormEpsilonAttr());
  }
  if (getActivations() != "float")
    printer << " activations \"" << getActivations() << "\"";
  printEpilogue(printer, getEpilogue());
  printer.printOptionalAttrDict((*this)->getAttrs(), {"weight", "vectors", "gated", "activations", "norm",
                                                      "norm_weight", "norm_bias", "norm_epsilon"});
  printer << " : " << getInput().getType() << " -> " << getResult().getType();
}

// ---- what it may look like -----------------------------------------------------------------------------------------
static LogicalResult verifyNorm(LinearOp op) {
  bool hasNorm = op.getNorm().has_value();
  if (hasNorm != bool(op.getNormEpsilonAttr()))
    return op.emitOpError("norm and norm_epsilon come together");
  if (!hasNorm && (op.getNormWeightAttr() || op.getNormBiasAttr()))
    return op.emitOpError("norm_weight and norm_bias need norm");
  if (op.getNormBiasAttr() && (*op.getNorm() != NormKind::Layer || !op.getNormWeightAttr()))
    return op.emitOpError("only a layer norm with a weight has a bias");
  if (hasNorm && !(op.getNormEpsilon()->convertToDouble() >= 0))
    return op.emitOpError("norm_epsilon must not be negative");
  return success();
}

LogicalResult LinearOp::verify() {
  for (Value row : getRows())
    if (row.getType() != getResult().getType())
      return emitOpError("rows must have the result's type ") << getResult().getType() << ", got " << row.getType();
  for (Attribute vector : getVectors())
    if (!isa<FlatSymbolRefAttr>(vector))
      return emitOpError("vectors are names of weights, got ") << vector;
  if (!isKnownActivations(getActivations()))
    return emitOpError("unknown activations \"") << getActivations() << "\"; known are float, int8 and bf16";
  if (getAdapter())
    return emitOpError("adapters are not supported yet");
  bool usesMore = getGated() || !getRows().empty() || !getVectors().empty();
  if (!hasEpilogue() && usesMore)
    return emitOpError("a gate, rows and vectors need an epilogue that uses them");
  if (failed(verifyNorm(*this)))
    return failure();
  return verifyEpilogue(*this, getEpilogue(), getFanout() + getRows().size() + getVectors().size() * getFanout());
}

static LogicalResult verifyVector(LinearOp op, SymbolTableCollection &tables, FlatSymbolRefAttr name, int64_t length,
                                  int64_t interleave) {
  auto vector = tables.lookupNearestSymbolFrom<WeightOp>(op, name);
  if (!vector)
    return op.emitOpError("names no llm.weight of the module: ") << name;
  if (vector.isMatrix() || vector.getRows() != length || int64_t(vector.getInterleave()) != interleave)
    return op.emitOpError("needs a vector of ") << length << " with interleave " << interleave << ", " << name << " is "
                                                << vector.getTensorType() << " with " << vector.getInterleave();
  return success();
}

LogicalResult LinearOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto weight = tables.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("names no llm.weight of the module: ") << getWeightAttr();
  int64_t rows = weight.getRows(), columns = getColumns(getInput()), fanout = getFanout();
  bool hasRows = rows % fanout == 0 && rows / fanout == getOutputColumns();
  if (!weight.isMatrix() || !hasRows || weight.getColumns() != columns)
    return emitOpError("needs a weight of ") << (getGated() ? "2 x " : "") << getOutputColumns() << " x " << columns
                                             << ", " << getWeightAttr() << " is " << weight.getTensorType();
  if (getGated() != (weight.getInterleave() != 0))
    return emitOpError("a gated linear's weight is interleaved, another's is not");
  if (getActivations() == "int8" && weight.getScheme() == "none")
    return emitOpError("int8 activations need a quantized weight; ") << getWeightAttr() << " has scheme none";
  if (getActivations() == "bf16" && weight.getScheme() == "none" && !weight.getElement().isBF16())
    return emitOpError("bf16 activations need a quantized weight or one of bf16; ")
           << getWeightAttr() << " is " << weight.getTensorType();
  for (auto vector : getVectors().getAsRange<FlatSymbolRefAttr>())
    if (failed(verifyVector(*this, tables, vector, rows, weight.getInterleave())))
      return failure();
  for (FlatSymbolRefAttr name : {getNormWeightAttr(), getNormBiasAttr()})
    if (name && failed(verifyVector(*this, tables, name, columns, 0)))
      return failure();
  return success();
}

// ---- canonical form ------------------------------------------------------------------------------------------------
namespace {
// An epilogue that yields the accumulator is no epilogue.
struct DropEmptyEpilogue : OpRewritePattern<LinearOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LinearOp op, PatternRewriter &rewriter) const override {
    if (!op.hasEpilogue() || op.getGated())
      return failure();
    Block &block = op.getEpilogue().front();
    if (cast<YieldOp>(block.getTerminator()).getValue() != block.getArgument(0))
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getRowsMutable().clear();
      op.setVectorsAttr(rewriter.getArrayAttr({}));
      op.getEpilogue().dropAllReferences();
      op.getEpilogue().getBlocks().clear();
    });
    return success();
  }
};
} // namespace

void LinearOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropEmptyEpilogue>(context);
}
