#include "compiler/pipeline/Kernels.h"

#include "mlir/Parser/Parser.h"
#include "runtime/abi/kernel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <atomic>
#include <cstring>
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

// Tiers are built by whichever thread is free; the result's order is the options'. Each tier has a context of its own,
// with the kernels read back from text: pass managers load dialects, which must not happen in a context that several
// threads use.
class Builder {
public:
  Builder(mlir::ModuleOp module, const CompileOptions &options, Progress &progress)
      : options(options), progress(progress), segments(options.tiers.size()) {
    llvm::raw_string_ostream stream(text);
    for (auto kernel : module.getOps<exec::KernelOp>()) {
      kernel->print(stream, mlir::OpPrintingFlags().useLocalScope());
      stream << "\n";
    }
  }

  llvm::Expected<std::vector<codegen::CodeSegment>> run() {
    size_t count = std::min<size_t>(size_t(std::max(1, options.threads)), segments.size());
    std::vector<std::thread> pool;
    for (size_t i = 1; i < count; ++i) pool.emplace_back([this] { work(); });
    work();
    for (std::thread &thread : pool) thread.join();
    if (!failure.empty()) return llvm::createStringError(failure);
    return std::move(segments);
  }

private:
  llvm::Expected<codegen::CodeSegment> build(llvm::StringRef tier) {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    codegen::loadCodegenDialects(context);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) return llvm::createStringError("the kernels do not read back from text, which is a mistake in llmc");
    std::vector<exec::KernelOp> kernels(module->getOps<exec::KernelOp>().begin(), module->getOps<exec::KernelOp>().end());
    return codegen::buildCpuSegment(kernels, *codegen::findCpuTier(tier));
  }

  void work() {
    for (size_t i = next++; i < segments.size(); i = next++) {
      auto segment = build(options.tiers[i]);
      std::lock_guard lock(mutex);
      progress.step(options.tiers[i], ++done, segments.size());
      if (segment) segments[i] = std::move(*segment);
      else if (std::string problem = llvm::toString(segment.takeError()); failure.empty())
        failure = options.tiers[i] + ": " + problem;
    }
  }

  const CompileOptions &options;
  Progress &progress;
  std::string text; // of the kernels
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t done = 0;
  std::vector<codegen::CodeSegment> segments;
  std::string failure; // the first one
};

} // namespace

llvm::Expected<std::vector<codegen::CodeSegment>> buildCode(mlir::ModuleOp module, const CompileOptions &options,
                                                            Progress &progress) {
  return Builder(module, options, progress).run();
}

void printKernels(mlir::ModuleOp module, llvm::ArrayRef<codegen::CodeSegment> code, llvm::raw_ostream &out) {
  llvm::StringMap<std::string> names; // by id
  for (const KernelName &kernel : kernelNames(module)) names[llvm::toHex(kernel.id, true)] = kernel.name;
  for (const codegen::CodeSegment &segment : code) {
    llmrt_code_header header;
    std::memcpy(&header, segment.bytes.data(), sizeof header);
    out << segment.tier << ": " << header.kernel_count << " kernels, " << segment.bytes.size() << " bytes\n";
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
