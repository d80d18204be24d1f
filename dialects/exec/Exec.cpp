#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace llmc::exec;

#include "dialects/exec/ExecDialect.cpp.inc"

void ExecDialect::initialize() {
  registerAttributes();
  registerOperations();
}

void llmc::exec::registerDialects(DialectRegistry &registry) {
  llm::registerDialects(registry);
  registry.insert<ExecDialect>();
}

StringRef KernelOp::getString(StringRef key) {
  auto value = getConfig().getAs<StringAttr>(key);
  return value ? value.getValue() : StringRef();
}

int64_t KernelOp::getInteger(StringRef key) {
  auto value = getConfig().getAs<IntegerAttr>(key);
  return value ? value.getValue().getSExtValue() : 0;
}

double KernelOp::getReal(StringRef key) {
  auto value = getConfig().getAs<FloatAttr>(key);
  return value ? value.getValueAsDouble() : 0;
}

bool KernelOp::getFlag(StringRef key) {
  auto value = getConfig().getAs<BoolAttr>(key);
  return value && value.getValue();
}
