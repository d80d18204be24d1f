// Attributes and types of the llm dialect: what may stand in them.
#include "dialects/llm/Llm.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace llmc::llm;

FailureOr<Real> FieldParser<Real>::parse(AsmParser &parser) {
  double number;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseFloat(number))
    return failure();
  if (!std::isfinite(number))
    return parser.emitError(location, "expected a finite number");
  return Real(number);
}

#define GET_ATTRDEF_CLASSES
#include "dialects/llm/LlmAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/llm/LlmTypes.cpp.inc"

void LlmDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/llm/LlmAttrs.cpp.inc"
      >();
}

void LlmDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/llm/LlmTypes.cpp.inc"
      >();
}

LogicalResult SourceAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringRef tensor, int64_t first,
                                 int64_t count, bool transpose, Real scale, Real add, bool zeros) {
  if (count <= 0 || first < 0)
    return emitError() << "a source needs first >= 0 and count > 0, has first = " << first << " and count = " << count;
  if (int64_t end; llvm::AddOverflow(first, count, end))
    return emitError() << "a source ends beyond what can be counted";
  if (zeros && (!tensor.empty() || first != 0 || transpose || scale != 1.0 || add != 0.0))
    return emitError() << "a source of zeros has a count and nothing else";
  if (!zeros && tensor.empty())
    return emitError() << "a source must name a tensor";
  return success();
}

LogicalResult RopeAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t dim, Real base,
                               RopeKind kind, StringRef scaling, Real factor, Real low, Real high, int64_t original,
                               Real beta_fast, Real beta_slow, Real attention_factor, bool truncate) {
  if (dim <= 0 || dim % 2)
    return emitError() << "rope turns pairs: dim must be even and positive, it is " << dim;
  if (!(base > 0) || !(factor > 0) || !(attention_factor > 0))
    return emitError() << "rope's base, factor and attention_factor must be positive";
  bool known = llvm::is_contained({"default", "linear", "llama3", "yarn", "dynamic"}, scaling);
  if (!known)
    return emitError() << "unknown rope scaling '" << scaling
                       << "'; known are default, linear, llama3, yarn and dynamic";
  if ((scaling == "llama3" || scaling == "yarn" || scaling == "dynamic") && original <= 0)
    return emitError() << "rope scaling '" << scaling << "' needs `original`, the length of the training";
  if (scaling == "llama3" && !(high > low))
    return emitError() << "rope scaling 'llama3' needs high > low";
  return success();
}
