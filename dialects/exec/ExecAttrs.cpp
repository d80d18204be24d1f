// Attributes of the exec dialect: text, checks, and the way from Size to SizeAttr and back.
#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc::exec;

#define GET_ATTRDEF_CLASSES
#include "dialects/exec/ExecAttrs.cpp.inc"

void ExecDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/exec/ExecAttrs.cpp.inc"
      >();
}

static_assert(maxCacheGroups == llmc::llm::maxCacheGroups);

// ---- size ----------------------------------------------------------------------------------------------------------
Size Size::fromAttr(SizeAttr attribute) {
  Size size;
  for (auto [coefficient, first, second] :
       llvm::zip_equal(attribute.getCoefficients(), attribute.getFirst(), attribute.getSecond()))
    size += Size(coefficient, Symbol(first), Symbol(second));
  return size;
}

SizeAttr Size::toAttr(MLIRContext *context) const {
  SmallVector<int64_t> coefficients;
  SmallVector<uint8_t> first, second;
  for (const SizeTerm &term : terms) {
    coefficients.push_back(term.coefficient);
    first.push_back(uint8_t(term.first));
    second.push_back(uint8_t(term.second));
  }
  return SizeAttr::get(context, coefficients, first, second);
}

LogicalResult SizeAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> coefficients,
                               ArrayRef<uint8_t> first, ArrayRef<uint8_t> second) {
  if (coefficients.size() != first.size() || first.size() != second.size())
    return emitError() << "a size needs two symbols for each coefficient";
  for (size_t i = 0; i < first.size(); ++i) {
    if (second[i] >= symbolCount || first[i] > second[i] || coefficients[i] == 0)
      return emitError() << "a size's term must have known symbols in order and a coefficient other than 0";
    if (i && std::tie(first[i - 1], second[i - 1]) >= std::tie(first[i], second[i]))
      return emitError() << "a size's terms must be sorted and each have symbols of its own";
  }
  return success();
}

// One term: 64, 256 T, 4 S B.
static ParseResult parseTerm(AsmParser &parser, Size &size) {
  int64_t coefficient;
  if (parser.parseInteger(coefficient))
    return failure();
  Symbol symbols[2] = {Symbol::One, Symbol::One};
  for (Symbol &symbol : symbols) {
    StringRef name;
    SMLoc location = parser.getCurrentLocation();
    if (failed(parser.parseOptionalKeyword(&name)))
      break;
    std::optional<Symbol> known = parseSymbol(name);
    if (!known)
      return parser.emitError(location, "unknown symbol; a size may depend on T, S, R, B, P0 to P7 and H");
    symbol = *known;
  }
  size += Size(coefficient, symbols[0], symbols[1]);
  return success();
}

Attribute SizeAttr::parse(AsmParser &parser, Type) {
  Size size;
  if (parser.parseLess())
    return {};
  do {
    if (parseTerm(parser, size))
      return {};
  } while (succeeded(parser.parseOptionalPlus()));
  return parser.parseGreater() ? SizeAttr() : size.toAttr(parser.getContext());
}

void SizeAttr::print(AsmPrinter &printer) const { printer << "<" << Size::fromAttr(*this).toString() << ">"; }

// ---- operand -------------------------------------------------------------------------------------------------------
static constexpr StringRef inputNames[] = {"TokenIds",   "Positions", "SequenceIndex", "OutputRows",
                                           "RopeLength", "PageTable", "HiddenRows"};

ArrayRef<StringRef> llmc::exec::getInputNames() { return inputNames; }

LogicalResult OperandAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringRef kind, StringRef name,
                                  int64_t group, SizeAttr offset) {
  if (kind != "buffer" && kind != "weight" && kind != "input" && kind != "cache")
    return emitError() << "an operand is a buffer, weight, input or cache, not '" << kind << "'";
  if (kind == "input" && !llvm::is_contained(getInputNames(), name))
    return emitError() << "unknown input '" << name << "'";
  bool hasGroup = kind == "cache" || name == "PageTable";
  if (group < 0 || group >= int64_t(maxCacheGroups) || (group && !hasGroup))
    return emitError() << "an operand's group is 0 to 7, and 0 but for a cache and the page table; it is " << group;
  return success();
}

static OperandAttr makeOperand(MLIRContext *context, StringRef kind, StringRef name, int64_t group,
                               const Size &offset) {
  return OperandAttr::get(context, kind, name, group, offset.toAttr(context));
}

OperandAttr llmc::exec::bufferOperand(MLIRContext *context, StringRef name, const Size &offset) {
  return makeOperand(context, "buffer", name, 0, offset);
}
OperandAttr llmc::exec::weightOperand(MLIRContext *context, StringRef name, const Size &offset) {
  return makeOperand(context, "weight", name, 0, offset);
}
OperandAttr llmc::exec::inputOperand(MLIRContext *context, StringRef input, int64_t group) {
  return makeOperand(context, "input", input, group, {});
}
OperandAttr llmc::exec::cacheOperand(MLIRContext *context, StringRef name, int64_t group, const Size &offset) {
  return makeOperand(context, "cache", name, group, offset);
}

// ---- scalar --------------------------------------------------------------------------------------------------------
ScalarAttr llmc::exec::scalar(MLIRContext *context, int64_t value, Symbol symbol) {
  return ScalarAttr::get(context, value, uint8_t(symbol));
}

LogicalResult ScalarAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t, uint8_t symbol) {
  if (symbol >= symbolCount)
    return emitError() << "a scalar's symbol must be below " << symbolCount << ", it is " << unsigned(symbol);
  return success();
}

Attribute ScalarAttr::parse(AsmParser &parser, Type) {
  int64_t value;
  StringRef name;
  std::optional<Symbol> symbol = Symbol::One;
  if (parser.parseLess() || parser.parseInteger(value))
    return {};
  SMLoc location = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword(&name)))
    symbol = parseSymbol(name);
  if (!symbol) {
    parser.emitError(location, "unknown symbol; a scalar may depend on T, S, R, B, P0 to P7 and H");
    return {};
  }
  return parser.parseGreater() ? ScalarAttr() : scalar(parser.getContext(), value, *symbol);
}

void ScalarAttr::print(AsmPrinter &printer) const {
  printer << "<" << getValue();
  if (getSymbol())
    printer << " " << getSymbolName(Symbol(getSymbol()));
  printer << ">";
}
