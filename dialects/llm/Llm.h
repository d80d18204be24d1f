// The llm dialect in C++. Its meaning is in LlmOps.td.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/bit.h"

#include <optional>

namespace llmc::llm {

// A finite double as a parameter of an attribute: hashed and compared by value, printed so that it reads back exactly.
class Real {
public:
  Real(double number = 0) : number(number == 0 ? 0 : number) {} // one zero, so that equal ones hash alike
  operator double() const { return number; }
  friend llvm::hash_code hash_value(Real real) { return llvm::hash_value(llvm::bit_cast<uint64_t>(real.number)); }

private:
  double number;
};

// The pages of the cache groups, as a memory resource.
struct PagesResource : mlir::SideEffects::Resource::Base<PagesResource> {
  llvm::StringRef getName() final { return "llm.pages"; }
};

} // namespace llmc::llm

template <> struct mlir::FieldParser<llmc::llm::Real> {
  static FailureOr<llmc::llm::Real> parse(AsmParser &parser);
};

#include "dialects/llm/LlmDialect.h.inc"
#include "dialects/llm/LlmEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/llm/LlmAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/llm/LlmTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/llm/LlmOps.h.inc"

namespace llmc::llm {

// Registers llm and the dialects its functions are written in: func, arith, math.
void registerDialects(mlir::DialectRegistry &registry);

constexpr uint64_t maxCacheGroups = 8; // of a step: the schema has so many symbols of pages
constexpr uint64_t tokensPerPage = 16; // a page is a block of keys in the order of llm.paged_attention

// What a scheme's name says; none for "none". The bytes behind it are codegen/schemes' business.
struct SchemeName {
  int bits;
  int64_t group; // columns that share a scale
};
// Nothing for "none" and for what this version does not know: q4 and q8 have groups of 16 to 256 ("q4_g32"); q4a_g32.
std::optional<SchemeName> parseScheme(llvm::StringRef name);
bool isKnownScheme(llvm::StringRef name); // "none" too
bool isKnownActivations(llvm::StringRef name);

// N of a value of type tensor<?xNxf32>.
int64_t getColumns(mlir::Value rows);
mlir::RankedTensorType getRowsType(mlir::MLIRContext *context, int64_t columns);

// The weight called `name` in the module round `user`; null if there is none.
WeightOp lookupWeight(mlir::Operation *user, mlir::FlatSymbolRefAttr name);

// The one function of a step, @step(!llm.batch) -> logits, or logits and hidden states; null if there is none.
mlir::Operation *lookupStep(mlir::ModuleOp module);

// May the operation stand in an epilogue? Scalar f32 operations of arith and math, llm.scalar_activation.
bool isEpilogueOp(mlir::Operation *op);
// Checks an epilogue's block: `arguments` f32 arguments, allowed operations, llm.yield at the end. Empty is right.
mlir::LogicalResult verifyEpilogue(mlir::Operation *op, mlir::Region &region, int64_t arguments);

// ` epilogue (%a: f32, ...) { ... }`, shared by llm.linear and exec.kernel; nothing where there is none.
mlir::ParseResult parseEpilogue(mlir::OpAsmParser &parser, mlir::Region &region);
void printEpilogue(mlir::OpAsmPrinter &printer, mlir::Region &region);

} // namespace llmc::llm
