// All kernels of a program for one tier: describe, emit, compile, link, and the table in front.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/SegmentTable.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

namespace llmc::codegen {

using namespace mlir;
using cpu::DescribedKernel;

namespace {

void emitAll(ModuleOp module, const std::vector<DescribedKernel> &kernels, const CpuTier &tier) {
  for (const DescribedKernel &kernel : kernels)
    for (auto [i, variant] : llvm::enumerate(kernel.info.variants))
      cpu::emitVariant(module, kernel, variant, cpu::kernelSymbol(kernel, i), tier);
}

// Entries come out in the order of the kernels and their variants; the image's symbols say where each lies.
llvm::Error placeEntries(cpu::SegmentTable &table, const std::vector<DescribedKernel> &kernels, const cpu::Image &image) {
  std::map<std::string, const cpu::Image::Symbol *> symbols;
  for (const cpu::Image::Symbol &symbol : image.symbols) symbols[symbol.name] = &symbol;
  size_t next = 0;
  for (const DescribedKernel &kernel : kernels)
    for (size_t variant = 0; variant < kernel.info.variants.size(); ++variant) {
      auto found = symbols.find(cpu::kernelSymbol(kernel, variant));
      if (found == symbols.end())
        return llvm::createStringError("the linked image lacks " + cpu::kernelSymbol(kernel, variant));
      table.entries[next].entry = found->second->offset;
      table.entries[next++].code_bytes = found->second->bytes;
    }
  return llvm::Error::success();
}

} // namespace

void loadCodegenDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, math::MathDialect, scf::SCFDialect,
                      vector::VectorDialect, LLVM::LLVMDialect, cf::ControlFlowDialect, ub::UBDialect>();
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
}

llvm::Expected<CodeSegment> buildCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CpuTier &tier) {
  if (kernels.empty()) return llvm::createStringError("a program without kernels has no code segment");
  auto described = cpu::describeKernels(kernels, tier);
  if (!described) return described.takeError();
  MLIRContext *context = kernels.front()->getContext();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
  emitAll(*module, *described, tier);
  if (llvm::Error error = cpu::lowerToLlvm(*module)) return std::move(error);
  auto object = cpu::compileToObject(*module, tier);
  if (!object) return object.takeError();
  auto image = cpu::linkImage(*object, tier);
  if (!image) return image.takeError();
  cpu::SegmentTable table;
  for (const DescribedKernel &kernel : *described) table.add(kernel);
  if (llvm::Error error = placeEntries(table, *described, *image)) return std::move(error);
  return CodeSegment{"cpu", tier.name, table.layOut(tier.architecture, tier.features, image->code)};
}

} // namespace llmc::codegen
