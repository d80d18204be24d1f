#include "codegen/cpu/KernelInfo.h"

#include "runtime/abi/kernel.h"

namespace llmc::cpu {

void KernelInfo::reads(Expression extent, uint32_t alignment) {
  operands.push_back({LLMRT_ACCESS_READ, alignment, std::move(extent), {}});
}
void KernelInfo::writes(Expression extent, uint32_t alignment) {
  operands.push_back({LLMRT_ACCESS_WRITE, alignment, std::move(extent), {}});
}
void KernelInfo::updates(Expression extent, uint32_t alignment) {
  operands.push_back({LLMRT_ACCESS_READ | LLMRT_ACCESS_WRITE, alignment, std::move(extent), {}});
}
void KernelInfo::indices(Expression count, Expression maximum) {
  operands.push_back({LLMRT_ACCESS_READ, 4, Expression(4) * count, std::move(maximum)});
}

Expression KernelInfo::rowBytes(const Expression &rows, const Expression &columns, const Expression &ld) {
  return Expression(4) * (rows * ld - ld + columns);
}

void KernelInfo::requireCeil(Expression value, Expression blocks, int64_t unit) {
  Expression padding = Expression(unit) * blocks - value;
  require(padding);
  require(Expression(unit - 1) - padding);
}

static mlir::Attribute config(exec::KernelOp kernel, llvm::StringRef key) {
  mlir::Attribute value = kernel.getConfig().get(key);
  if (!value)
    llvm::report_fatal_error(llvm::Twine("kernel ") + kernel.getSymName() + " lacks config '" + key +
                             "'; its verifier should have said so");
  return value;
}
bool configBool(exec::KernelOp kernel, llvm::StringRef key) {
  return mlir::cast<mlir::BoolAttr>(config(kernel, key)).getValue();
}
int64_t configInt(exec::KernelOp kernel, llvm::StringRef key) {
  return mlir::cast<mlir::IntegerAttr>(config(kernel, key)).getInt();
}
double configFloat(exec::KernelOp kernel, llvm::StringRef key) {
  return mlir::cast<mlir::FloatAttr>(config(kernel, key)).getValueAsDouble();
}
llvm::StringRef configString(exec::KernelOp kernel, llvm::StringRef key) {
  return mlir::cast<mlir::StringAttr>(config(kernel, key)).getValue();
}

} // namespace llmc::cpu
