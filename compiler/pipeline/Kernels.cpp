#include "compiler/pipeline/Kernels.h"

#include "compiler/emit/KernelLibrary.h"
#include "mlir/Parser/Parser.h"
#include "runtime/abi/kernel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

namespace llmc {

std::vector<KernelName> kernelNames(mlir::ModuleOp module) {
  std::vector<KernelName> names;
  for (auto kernel : module.getOps<exec::KernelOp>())
    names.push_back({kernel.getSymName().str(), codegen::kernelId(kernel)});
  return names;
}

namespace {

using Kernels = llvm::ArrayRef<exec::KernelOp>;

constexpr llvm::StringLiteral kVulkan = "vulkan";

// Builds a Result for each of the names, tiers of the CPU and targets, by whichever thread is free. Each has a context of
// its own, with the kernels read back from text: pass managers load dialects, which must not happen in a context that
// several threads use.
template <typename Result> class TierBuilder {
public:
  using Build = std::function<llvm::Expected<Result>(Kernels, llvm::StringRef name)>;

  TierBuilder(mlir::ModuleOp module, std::vector<std::string> names, int threads, Progress &progress, Build build)
      : names(std::move(names)), threads(threads), progress(progress), build(std::move(build)),
        results(this->names.size()) {
    llvm::raw_string_ostream stream(text);
    for (auto kernel : module.getOps<exec::KernelOp>()) {
      kernel->print(stream, mlir::OpPrintingFlags().useLocalScope());
      stream << "\n";
    }
  }

  llvm::Expected<std::vector<Result>> run() {
    size_t count = std::min<size_t>(size_t(std::max(1, threads)), results.size());
    std::vector<std::thread> pool;
    for (size_t i = 1; i < count; ++i) pool.emplace_back([this] { work(); });
    work();
    for (std::thread &thread : pool) thread.join();
    if (!failure.empty()) return llvm::createStringError(failure);
    return std::move(results);
  }

private:
  llvm::Expected<Result> buildOne(llvm::StringRef name) {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    codegen::loadCodegenDialects(context);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) return llvm::createStringError("the kernels do not read back from text, which is a mistake in llmc");
    std::vector<exec::KernelOp> kernels(module->getOps<exec::KernelOp>().begin(), module->getOps<exec::KernelOp>().end());
    if (name == kVulkan) codegen::loadVulkanDialects(context);
    return build(kernels, name);
  }

  void work() {
    for (size_t i = next++; i < results.size(); i = next++) {
      auto result = buildOne(names[i]);
      std::lock_guard lock(mutex);
      progress.step(names[i], ++done, results.size());
      if (result) results[i] = std::move(*result);
      else if (std::string problem = llvm::toString(result.takeError()); failure.empty())
        failure = names[i] + ": " + problem;
    }
  }

  std::vector<std::string> names;
  int threads;
  Progress &progress;
  Build build;
  std::string text; // of the kernels
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t done = 0;
  std::vector<Result> results;
  std::string failure; // the first one
};

} // namespace

llvm::Expected<std::vector<codegen::CodeSegment>> buildCode(mlir::ModuleOp module, const CompileOptions &options,
                                                            Progress &progress) {
  std::vector<std::string> names = options.tiers;
  if (options.vulkan) names.push_back(kVulkan.str());
  auto build = [](Kernels kernels, llvm::StringRef name) {
    return name == kVulkan ? codegen::buildVulkanSegment(kernels)
                           : codegen::buildCpuSegment(kernels, *codegen::findCpuTier(name));
  };
  return TierBuilder<codegen::CodeSegment>(module, names, options.threads, progress, build).run();
}

llvm::Expected<std::vector<codegen::ObjectFile>> buildLibrary(mlir::ModuleOp module, const CompileOptions &options,
                                                              Progress &progress) {
  auto system = options.kernelLibraryForIos ? codegen::ObjectSystem::Ios : codegen::ObjectSystem::Linux;
  auto build = [&](Kernels kernels, llvm::StringRef name) {
    return codegen::buildCpuObjects(kernels, *codegen::findCpuTier(name), system);
  };
  auto tiers = TierBuilder<codegen::KernelObjects>(module, options.tiers, options.threads, progress, build).run();
  if (!tiers) return tiers.takeError();
  std::vector<codegen::ObjectFile> objects;
  std::vector<codegen::LibraryKernel> kernels;
  for (codegen::KernelObjects &tier : *tiers) {
    llvm::move(tier.objects, std::back_inserter(objects));
    llvm::move(tier.kernels, std::back_inserter(kernels));
  }
  auto registry = codegen::buildKernelRegistry(kernels, librarySymbol(options.kernelLibrary),
                                               *codegen::findCpuTier(options.tiers.front()), system);
  if (!registry) return registry.takeError();
  objects.push_back(std::move(*registry));
  return objects;
}

void printKernels(mlir::ModuleOp module, llvm::ArrayRef<codegen::CodeSegment> code, llvm::raw_ostream &out) {
  llvm::StringMap<std::string> names; // by id
  for (const KernelName &kernel : kernelNames(module)) names[llvm::toHex(kernel.id, true)] = kernel.name;
  for (const codegen::CodeSegment &segment : code) {
    llmrt_code_header header;
    std::memcpy(&header, segment.bytes.data(), sizeof header);
    out << (segment.target == "cpu" ? segment.tier : segment.target) << ": " << header.kernel_count << " kernels, " << segment.bytes.size() << " bytes\n";
    for (uint32_t i = 0; i < header.kernel_count; ++i) {
      llmrt_kernel_entry entry;
      std::memcpy(&entry, segment.bytes.data() + sizeof header + i * sizeof entry, sizeof entry);
      std::string id = llvm::toHex(llvm::ArrayRef<uint8_t>(entry.id, sizeof entry.id), true);
      out << "  " << id << " " << names.lookup(id) << " rows " << entry.first_rows << "..";
      if (entry.last_rows != INT64_MAX) out << entry.last_rows;
      out << ", " << entry.code_bytes << " bytes\n";
    }
  }
}

} // namespace llmc
