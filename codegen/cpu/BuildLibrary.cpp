// Kernels as relocatable objects, and the registry through which a program finds those that it links.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/DescribedKernel.h"
#include "runtime/abi/kernel.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Module.h"
#include "llvm/Object/ObjectFile.h"

#include <cstddef>

namespace llmc::codegen {

using cpu::DescribedKernel;

namespace {

llvm::Expected<CpuTier> tierFor(const CpuTier &tier, ObjectSystem system) {
  CpuTier result = tier;
  if (system == ObjectSystem::Linux) return result;
  if (tier.architecture != LLMRT_ARCH_ARM64)
    return llvm::createStringError("tier " + llvm::Twine(tier.name) + " is not one of iOS: choose an arm64 tier with "
                                                                      "--cpu-tier");
  result.triple = "arm64-apple-ios14.0";
  return result;
}

// The name says everything that the code depends on: two libraries that define it define the same.
std::string symbolOf(const DescribedKernel &kernel, size_t variant, const CpuTier &tier) {
  std::string symbol = "llmrt_" + std::string(tier.name) + "_" + kernel.idText() + "_" + std::to_string(variant);
  llvm::replace(symbol, '-', '_');
  return symbol;
}

// A kernel calls nothing: what lld refuses in a segment is refused here too.
llvm::Error checkClosed(llvm::ArrayRef<char> bytes, llvm::StringRef name) {
  llvm::MemoryBufferRef buffer(llvm::StringRef(bytes.data(), bytes.size()), name);
  auto object = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!object) return object.takeError();
  for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
    auto flags = symbol.getFlags();
    auto text = symbol.getName();
    if (!flags) return flags.takeError();
    if (!text) return text.takeError();
    bool formatSpecific = *flags & llvm::object::SymbolRef::SF_FormatSpecific; // ELF's null symbol
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !formatSpecific)
      return llvm::createStringError("kernel " + name + " calls '" + *text + "', which nobody defines");
  }
  return llvm::Error::success();
}

// The registry's structs, as a C compiler lays them out for a 64-bit system.
class RegistryBuilder {
public:
  explicit RegistryBuilder(llvm::Module &module) : module(module), context(module.getContext()) {
    static_assert(sizeof(llmrt_static_kernel) == 40 && offsetof(llmrt_static_kernel, tier) == 16 &&
                  offsetof(llmrt_static_kernel, first_rows) == 24 && offsetof(llmrt_static_kernel, function) == 32);
    static_assert(sizeof(llmrt_kernel_library) == 16 && offsetof(llmrt_kernel_library, kernels) == 8);
  }

  void build(llvm::ArrayRef<LibraryKernel> kernels, llvm::StringRef symbol) {
    std::vector<llvm::Constant *> rows;
    for (const LibraryKernel &kernel : kernels) rows.push_back(row(kernel));
    auto *array = llvm::ConstantArray::get(llvm::ArrayType::get(rowType, rows.size()), rows);
    llvm::Constant *table = constant(array, "", llvm::GlobalValue::PrivateLinkage);
    auto *library = llvm::ConstantStruct::getAnon({i32(LLMRT_ABI_VERSION), i32(uint32_t(rows.size())), table});
    constant(library, symbol, llvm::GlobalValue::ExternalLinkage);
  }

private:
  llvm::Constant *i32(uint32_t value) { return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value); }

  llvm::Constant *constant(llvm::Constant *value, llvm::StringRef name, llvm::GlobalValue::LinkageTypes linkage) {
    return new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true, linkage, value, name);
  }

  llvm::Constant *row(const LibraryKernel &kernel) {
    llvm::Constant *&tier = tiers[kernel.tier];
    if (!tier)
      tier = constant(llvm::ConstantDataArray::getString(context, kernel.tier), "", llvm::GlobalValue::PrivateLinkage);
    auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer}, /*isVarArg=*/false);
    auto *function = llvm::cast<llvm::Constant>(module.getOrInsertFunction(kernel.symbol, type).getCallee());
    auto *firstRows = llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), uint64_t(kernel.firstRows));
    return llvm::ConstantStruct::get(rowType, {llvm::ConstantDataArray::get(context, kernel.id), tier, firstRows,
                                               function});
  }

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::Type *pointer = llvm::PointerType::getUnqual(context);
  llvm::StructType *rowType = llvm::StructType::get(
      context, {llvm::ArrayType::get(llvm::Type::getInt8Ty(context), 16), pointer, llvm::Type::getInt64Ty(context),
                pointer});
  std::map<std::string, llvm::Constant *> tiers;
};

} // namespace

llvm::Expected<KernelObject> buildLibraryObject(exec::KernelOp op, const CpuTier &tier, ObjectSystem system) {
  auto target = tierFor(tier, system);
  if (!target) return target.takeError();
  auto described = cpu::describeKernels(op, *target);
  if (!described) return described.takeError();
  const DescribedKernel &kernel = described->front();
  KernelObject result;
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(op.getContext()));
  for (auto [i, variant] : llvm::enumerate(kernel.info.variants)) {
    std::string symbol = symbolOf(kernel, i, *target);
    cpu::emitVariant(*module, kernel, variant, symbol, *target);
    result.functions.push_back({kernel.id, target->name, variant.firstRows, symbol});
  }
  if (llvm::Error error = cpu::lowerToLlvm(*module)) return std::move(error);
  auto bytes = cpu::compileToObject(*module, *target);
  if (!bytes) return bytes.takeError();
  result.object = {std::string(target->name) + "-" + kernel.idText() + ".o", {bytes->begin(), bytes->end()}};
  if (llvm::Error error = checkClosed(result.object.bytes, result.object.name)) return std::move(error);
  return result;
}

llvm::Expected<ObjectFile> buildKernelRegistry(llvm::ArrayRef<LibraryKernel> kernels, llvm::StringRef symbol,
                                               const CpuTier &tier, ObjectSystem system) {
  auto target = tierFor(tier, system);
  if (!target) return target.takeError();
  llvm::LLVMContext context;
  llvm::Module module("registry", context);
  RegistryBuilder(module).build(kernels, symbol);
  auto bytes = cpu::compileModule(module, *target);
  if (!bytes) return bytes.takeError();
  return ObjectFile{symbol.str() + ".o", {bytes->begin(), bytes->end()}};
}

} // namespace llmc::codegen
