// All kernels of a program for one tier: an object each, linked, and the table in front.
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

llvm::Expected<ObjectFile> buildCpuObject(exec::KernelOp kernel, const CpuTier &tier) {
  auto described = cpu::describeKernels(kernel, tier);
  if (!described) return described.takeError();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(kernel.getContext()));
  const DescribedKernel &own = described->front();
  for (auto [i, variant] : llvm::enumerate(own.info.variants))
    if (variant.ofTierAlone || !tier.base[0]) cpu::emitVariant(*module, own, variant, cpu::kernelSymbol(own, i), tier);
  if (module->getBody()->empty()) return ObjectFile{};
  if (llvm::Error error = cpu::lowerToLlvm(*module)) return std::move(error);
  auto bytes = cpu::compileToObject(*module, tier);
  if (!bytes) return bytes.takeError();
  return ObjectFile{own.idText() + "-" + tier.name, {bytes->begin(), bytes->end()}};
}

llvm::Expected<CodeSegment> linkCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, std::vector<ObjectFile> objects,
                                           const CpuTier &tier) {
  if (kernels.empty()) return llvm::createStringError("a program without kernels has no code segment");
  llvm::erase_if(objects, [](const ObjectFile &object) { return object.bytes.empty(); });
  auto described = cpu::describeKernels(kernels, tier);
  if (!described) return described.takeError();
  llvm::sort(objects, [](const ObjectFile &a, const ObjectFile &b) { return a.name < b.name; });
  auto image = cpu::linkImage(objects, tier);
  if (!image) return image.takeError();
  cpu::SegmentTable table;
  for (const DescribedKernel &kernel : *described) table.add(kernel);
  if (llvm::Error error = placeEntries(table, *described, *image)) return std::move(error);
  return CodeSegment{"cpu", tier.name, table.layOut(tier.architecture, tier.features, image->code)};
}

llvm::Expected<CodeSegment> buildCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CpuTier &tier) {
  std::vector<ObjectFile> objects;
  for (const CpuTier *from = &tier; from; from = findCpuTier(from->base))
    for (exec::KernelOp kernel : kernels) {
      auto object = buildCpuObject(kernel, *from);
      if (!object) return object.takeError();
      objects.push_back(std::move(*object));
    }
  return linkCpuSegment(kernels, std::move(objects), tier);
}

} // namespace llmc::codegen
