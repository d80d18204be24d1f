#include "dialects/llm/Llm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace llmc::llm;

#include "dialects/llm/LlmDialect.cpp.inc"
#include "dialects/llm/LlmEnums.cpp.inc"

void LlmDialect::initialize() {
  registerAttributes();
  registerTypes();
  registerOperations();
}

void llmc::llm::registerDialects(DialectRegistry &registry) {
  registry.insert<LlmDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
}

int64_t llmc::llm::getColumns(Value rows) { return cast<RankedTensorType>(rows.getType()).getDimSize(1); }

RankedTensorType llmc::llm::getRowsType(MLIRContext *context, int64_t columns) {
  return RankedTensorType::get({ShapedType::kDynamic, columns}, Float32Type::get(context));
}

WeightOp llmc::llm::lookupWeight(Operation *user, FlatSymbolRefAttr name) {
  return name ? SymbolTable::lookupNearestSymbolFrom<WeightOp>(user, name) : WeightOp();
}

Operation *llmc::llm::lookupStep(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("step"); }

std::optional<SchemeName> llmc::llm::parseScheme(StringRef name) {
  auto [code, group] = name.split("_g");
  SchemeName scheme;
  bool affine = code == "q4a";
  if (code != "q4" && code != "q8" && !affine)
    return std::nullopt;
  scheme.bits = code == "q8" ? 8 : 4;
  if (group.empty() || group.front() == '0' || group.getAsInteger(10, scheme.group))
    return std::nullopt;
  bool known = scheme.group >= 16 && scheme.group <= 256 && llvm::isPowerOf2_64(scheme.group) &&
               (!affine || scheme.group == 32);
  return known ? std::optional(scheme) : std::nullopt;
}

bool llmc::llm::isKnownScheme(StringRef name) { return name == "none" || parseScheme(name); }

bool llmc::llm::isKnownActivations(StringRef name) { return name == "float" || name == "int8" || name == "bf16"; }

bool llmc::llm::isEpilogueOp(Operation *op) {
  if (isa<ScalarActivationOp>(op))
    return true;
  if (!isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()) || op->getNumRegions())
    return false;
  // Comparisons give i1; everything that is a number is an f32.
  auto isScalar = [](Type type) { return type.isF32() || type.isInteger(1); };
  return llvm::all_of(op->getOperandTypes(), isScalar) && llvm::all_of(op->getResultTypes(), isScalar);
}

LogicalResult llmc::llm::verifyEpilogue(Operation *op, Region &region, int64_t arguments) {
  if (region.empty())
    return success();
  if (!region.hasOneBlock())
    return op->emitOpError("epilogue must be one block");
  Block &block = region.front();
  if (block.getNumArguments() != arguments)
    return op->emitOpError("epilogue must take ") << arguments << " f32 values, it takes " << block.getNumArguments();
  if (!llvm::all_of(block.getArgumentTypes(), [](Type type) { return type.isF32(); }))
    return op->emitOpError("epilogue must take f32 values only");
  if (block.empty() || !isa<YieldOp>(block.back()))
    return op->emitOpError("epilogue must end in llm.yield");
  for (Operation &inner : block.without_terminator())
    if (!isEpilogueOp(&inner))
      return op->emitOpError("epilogue may hold scalar f32 operations of arith and math and llm.scalar_activation "
                             "only, it holds '")
             << inner.getName() << "'";
  return success();
}

ParseResult llmc::llm::parseEpilogue(OpAsmParser &parser, Region &region) {
  if (parser.parseOptionalKeyword("epilogue"))
    return success();
  SmallVector<OpAsmParser::Argument> arguments;
  return failure(parser.parseArgumentList(arguments, AsmParser::Delimiter::Paren, /*allowType=*/true) ||
                 parser.parseRegion(region, arguments));
}

void llmc::llm::printEpilogue(OpAsmPrinter &printer, Region &region) {
  if (region.empty())
    return;
  printer << " epilogue (";
  llvm::interleaveComma(region.getArguments(), printer,
                        [&](BlockArgument argument) { printer.printRegionArgument(argument); });
  printer << ") ";
  printer.printRegion(region, /*printEntryBlockArgs=*/false);
}
