// Operations of the exec dialect: text and checks.
#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::exec;

// ---- operands and scalars of a dispatch, as text ------------------------------------------------------------------
// (buffer @x + <64 T>, input PageTable[1], cache @full[0])
static ParseResult parseOperandText(OpAsmParser &parser, Attribute &operand) {
  MLIRContext *context = parser.getContext();
  StringRef kind, input;
  StringAttr name;
  int64_t group = 0;
  auto offset = Size().toAttr(context);
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&kind))
    return failure();
  if (kind == "input" ? parser.parseKeyword(&input) : parser.parseSymbolName(name))
    return failure();
  if (succeeded(parser.parseOptionalLSquare()) && (parser.parseInteger(group) || parser.parseRSquare()))
    return failure();
  if (succeeded(parser.parseOptionalPlus()) && parser.parseCustomAttributeWithFallback(offset))
    return failure();
  operand = OperandAttr::getChecked([&] { return parser.emitError(location); }, context, kind,
                                    name ? name.getValue() : input, group, offset);
  return success(bool(operand));
}

static ParseResult parseOperands(OpAsmParser &parser, ArrayAttr &operands) {
  SmallVector<Attribute> list;
  auto parse = [&] { return parseOperandText(parser, list.emplace_back()); };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parse))
    return failure();
  operands = parser.getBuilder().getArrayAttr(list);
  return success();
}

static void printOperands(OpAsmPrinter &printer, Operation *, ArrayAttr operands) {
  printer << "(";
  llvm::interleaveComma(operands, printer, [&](Attribute attribute) {
    auto operand = cast<OperandAttr>(attribute);
    printer << operand.getKind() << " ";
    if (operand.getKind() == "input")
      printer << operand.getName();
    else
      printer.printSymbolName(operand.getName());
    if (operand.getKind() == "cache" || operand.getName() == "PageTable")
      printer << "[" << operand.getGroup() << "]";
    if (!operand.getOffset().getCoefficients().empty())
      printer << " + " << "<" << Size::fromAttr(operand.getOffset()).toString() << ">";
  });
  printer << ")";
}

static ParseResult parseScalarText(OpAsmParser &parser, Attribute &attribute) {
  int64_t value;
  StringRef name;
  std::optional<Symbol> symbol = Symbol::One;
  if (parser.parseInteger(value))
    return failure();
  SMLoc location = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword(&name)))
    symbol = parseSymbol(name);
  if (!symbol)
    return parser.emitError(location, "unknown symbol; a scalar may depend on T, S, R, B, P0 to P7 and H");
  attribute = scalar(parser.getContext(), value, *symbol);
  return success();
}

static ParseResult parseScalars(OpAsmParser &parser, ArrayAttr &scalars) {
  SmallVector<Attribute> list;
  auto parse = [&] { return parseScalarText(parser, list.emplace_back()); };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parse))
    return failure();
  scalars = parser.getBuilder().getArrayAttr(list);
  return success();
}

static void printScalars(OpAsmPrinter &printer, Operation *, ArrayAttr scalars) {
  printer << "(";
  llvm::interleaveComma(scalars, printer, [&](Attribute attribute) {
    auto scalar = cast<ScalarAttr>(attribute);
    printer << scalar.getValue();
    if (scalar.getSymbol())
      printer << " " << getSymbolName(Symbol(scalar.getSymbol()));
  });
  printer << ")";
}

#define GET_OP_CLASSES
#include "dialects/exec/ExecOps.cpp.inc"

void ExecDialect::registerOperations() {
  addOperations<
#define GET_OP_LIST
#include "dialects/exec/ExecOps.cpp.inc"
      >();
}

// ---- kernel --------------------------------------------------------------------------------------------------------
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &state) {
  StringAttr name, kind;
  DictionaryAttr config;
  if (parser.parseSymbolName(name, getSymNameAttrName(state.name), state.attributes) ||
      parser.parseAttribute(kind, getKindAttrName(state.name), state.attributes) ||
      parser.parseAttribute(config, getConfigAttrName(state.name), state.attributes))
    return failure();
  if (llm::parseEpilogue(parser, *state.addRegion()))
    return failure();
  return parser.parseOptionalAttrDictWithKeyword(state.attributes);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << " " << getKindAttr() << " " << getConfig();
  llm::printEpilogue(printer, getEpilogue());
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {"sym_name", "kind", "config"});
}

// ---- buffer, program -----------------------------------------------------------------------------------------------
LogicalResult BufferOp::verify() {
  if (!llvm::is_contained({"f32", "bf16", "f16", "i32", "i8"}, getElement()))
    return emitOpError("unknown element '") << getElement() << "'; known are f32, bf16, f16, i32 and i8";
  for (SizeAttr size : {getBytesAttr(), getOffsetAttr()})
    if (size && llvm::any_of(size.getCoefficients(), [](int64_t coefficient) { return coefficient < 0; }))
      return emitOpError("bytes and offset must not shrink as a symbol grows");
  return success();
}

bool ProgramOp::isFor(StringRef target) {
  return !getTargets() ||
         llvm::any_of(getTargets()->getAsRange<StringAttr>(), [&](StringAttr own) { return own.getValue() == target; });
}

LogicalResult ProgramOp::verify() {
  for (Operation &op : getBody().front())
    if (!isa<DispatchOp>(op))
      return emitOpError("holds dispatches only, found '") << op.getName() << "'";
  return success();
}

LogicalResult ProgramOp::verifySymbolUses(SymbolTableCollection &tables) {
  for (FlatSymbolRefAttr name : {getLogitsAttr(), getHiddenAttr(), getCandidatesAttr()})
    if (name && !tables.lookupNearestSymbolFrom<BufferOp>(*this, name))
      return emitOpError("names no exec.buffer of the module: ") << name;
  bool forGpus = false;
  for (auto dispatch : getBody().getOps<DispatchOp>()) {
    auto kernel = tables.lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr());
    if (!kernel)
      continue; // the dispatch's own verifier says so
    if (forGpus && !isForGpusAlone(kernel))
      return dispatch.emitOpError("follows one that CPUs leave out");
    forGpus |= isForGpusAlone(kernel);
  }
  if (forGpus != bool(getCandidatesAttr()))
    return emitOpError("has candidates and dispatches that make them, or neither");
  return success();
}

// ---- dispatch ------------------------------------------------------------------------------------------------------
static LogicalResult verifyOperand(DispatchOp op, SymbolTableCollection &tables, OperandAttr operand) {
  if (operand.getKind() == "input")
    return success();
  Operation *target = tables.lookupNearestSymbolFrom(op, StringAttr::get(op.getContext(), operand.getName()));
  bool found = operand.getKind() == "buffer"   ? isa_and_nonnull<BufferOp>(target)
               : operand.getKind() == "weight" ? isa_and_nonnull<llm::WeightOp>(target)
                                               : isa_and_nonnull<llm::CacheGroupOp>(target);
  if (!found)
    return op.emitOpError("names no ") << operand.getKind() << " of the module: @" << operand.getName();
  auto group = dyn_cast<llm::CacheGroupOp>(target);
  if (group && int64_t(group.getIndex()) != operand.getGroup())
    return op.emitOpError("the index of @") << operand.getName() << " is " << group.getIndex();
  return success();
}

static LogicalResult verifyScalars(DispatchOp op, const KernelShape &shape) {
  if (op.getScalars().size() != shape.scalars.size())
    return op.emitOpError("needs ") << shape.scalars.size() << " scalars (" << llvm::join(shape.scalars, ", ")
                                    << "), has " << op.getScalars().size();
  for (Attribute attribute : op.getScalars())
    if (!isa<ScalarAttr>(attribute))
      return op.emitOpError("scalars must be #exec.scalar attributes, got ") << attribute;
  auto rows = cast<ScalarAttr>(op.getScalars()[0]);
  bool isStep = llvm::is_contained({Symbol::Tokens, Symbol::Rows, Symbol::HiddenRows}, Symbol(rows.getSymbol()));
  if (!isStep || rows.getValue() != 1)
    return op.emitOpError("the first scalar is the rows of the step: 1 T, 1 R or 1 H");
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto kernel = tables.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("names no exec.kernel of the module: ") << getKernelAttr();
  KernelShape shape = getKernelShape(kernel);
  if (getOperands().size() != shape.operands.size())
    return emitOpError("needs ") << shape.operands.size() << " operands (" << llvm::join(shape.operands, ", ")
                                 << "), has " << getOperands().size();
  for (Attribute attribute : getOperands()) {
    auto operand = dyn_cast<OperandAttr>(attribute);
    if (!operand)
      return emitOpError("operands must be #exec.operand attributes, got ") << attribute;
    if (failed(verifyOperand(*this, tables, operand)))
      return failure();
  }
  return verifyScalars(*this, shape);
}
