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

// One kernel for a tier of the CPU, or all that a tier of another target has.
struct Task {
  std::string name; // of the tier
  std::vector<std::string> kernels;
};

// A task for each kernel and tier; those that take long go first, so that no thread is left with one at the end.
std::vector<Task> cpuTasks(mlir::ModuleOp module, llvm::ArrayRef<std::string> tiers) {
  std::vector<Task> tasks;
  for (llvm::StringRef kind : {"attention", "linear", ""})
    for (const std::string &tier : tiers)
      for (exec::KernelOp kernel : exec::getKernelsFor(module, "cpu")) {
        llvm::StringRef own = kernel.getKind();
        if (own == "linear_heads") own = "linear";
        if (own == kind || (kind.empty() && own != "attention" && own != "linear"))
          tasks.push_back({tier, {kernel.getSymName().str()}});
      }
  return tasks;
}

// With those whose code they take over.
std::vector<std::string> withBases(std::vector<std::string> tiers) {
  for (size_t i = 0; i < tiers.size(); ++i)
    if (std::string base = codegen::findCpuTier(tiers[i])->base; !base.empty() && !llvm::is_contained(tiers, base))
      tiers.push_back(base);
  return tiers;
}

Task gpuTask(mlir::ModuleOp module, llvm::StringRef target, std::string tier) {
  Task task{std::move(tier), {}};
  for (exec::KernelOp kernel : exec::getKernelsFor(module, target)) task.kernels.push_back(kernel.getSymName().str());
  return task;
}

// Builds a Result of each task's kernels, by whichever thread is free. Each thread has a context of its own, with the
// kernels read back from text: pass managers load dialects, which must not happen in a context that several threads use.
template <typename Result> class Builder {
public:
  using Build = std::function<llvm::Expected<Result>(Kernels, const Task &)>;

  Builder(mlir::ModuleOp module, std::vector<Task> tasks, int threads, Progress &progress, Build build)
      : tasks(std::move(tasks)), threads(threads), progress(progress), build(std::move(build)),
        results(this->tasks.size()) {
    llvm::raw_string_ostream stream(text);
    for (auto kernel : module.getOps<exec::KernelOp>()) {
      kernel->print(stream, mlir::OpPrintingFlags().useLocalScope());
      stream << "\n";
    }
  }

  // In the order of the tasks.
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
  void work() {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    codegen::loadCodegenDialects(context);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) return fail("the kernels do not read back from text, which is a mistake in llmc");
    mlir::SymbolTable symbols(*module);
    for (size_t i = next++; i < tasks.size(); i = next++) {
      if (codegen::findVulkanTier(tasks[i].name)) codegen::loadVulkanDialects(context);
      if (codegen::findCudaTier(tasks[i].name)) codegen::loadCudaDialects(context);
      std::vector<exec::KernelOp> kernels;
      for (const std::string &name : tasks[i].kernels) kernels.push_back(symbols.lookup<exec::KernelOp>(name));
      auto result = build(kernels, tasks[i]);
      if (!result) {
        fail(tasks[i].name + ": " + llvm::toString(result.takeError()));
        continue;
      }
      std::lock_guard lock(mutex);
      results[i] = std::move(*result);
      progress.step(tasks[i].name, ++done, tasks.size());
    }
  }

  void fail(std::string problem) {
    std::lock_guard lock(mutex);
    if (failure.empty()) failure = std::move(problem);
  }

  std::vector<Task> tasks;
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

// What a task leaves of a segment: the object of one kernel, or all of it.
struct SegmentPart {
  codegen::ObjectFile object;
  codegen::CodeSegment segment; // without bytes where the tier is of no use
};

llvm::Expected<codegen::CodeSegment> buildGpuSegment(Kernels kernels, llvm::StringRef name, llvm::StringRef assembler) {
  if (const codegen::VulkanTier *tier = codegen::findVulkanTier(name)) return codegen::buildVulkanSegment(kernels, *tier);
  return codegen::buildCudaSegment(kernels, *codegen::findCudaTier(name), assembler);
}

llvm::Expected<SegmentPart> buildPart(Kernels kernels, const Task &task, llvm::StringRef assembler) {
  SegmentPart part;
  if (const codegen::CpuTier *tier = codegen::findCpuTier(task.name)) {
    auto object = codegen::buildCpuObject(kernels.front(), *tier);
    if (!object) return object.takeError();
    part.object = std::move(*object);
    return part;
  }
  const codegen::VulkanTier *vulkan = codegen::findVulkanTier(task.name);
  if (vulkan && !codegen::isOfUse(kernels, *vulkan)) return part;
  auto segment = buildGpuSegment(kernels, task.name, assembler);
  if (!segment) return segment.takeError();
  part.segment = std::move(*segment);
  return part;
}

// Adds those that can be built here and returns the path of ptxas; without it there is only PTX, which a driver compiles
// when it loads it.
std::string addCudaTasks(mlir::ModuleOp module, const CompileOptions &options, std::vector<Task> &tasks,
                         Progress &progress) {
  bool wanted = false;
  std::string assembler = options.cudaTiers.empty() ? "" : codegen::findPtxas();
  for (const std::string &name : options.cudaTiers) {
    bool ptx = codegen::findCudaTier(name)->isPtx();
    wanted |= !ptx;
    if (ptx || !assembler.empty()) tasks.push_back(gpuTask(module, "cuda", name));
  }
  if (wanted && assembler.empty())
    progress.warn("there is no ptxas in PATH or in $CUDA_HOME/bin (/usr/local/cuda/bin if that is not set): --gpu-arch is left out, and "
                  "the artifact has PTX only, which the driver compiles when it is loaded");
  return assembler;
}

// A lesser tier is there already and has the same kernels: this model makes no use of what the tier is for.
bool isNoBetter(const codegen::CodeSegment &segment, llvm::ArrayRef<codegen::CodeSegment> lesser) {
  return llvm::any_of(lesser, [&](const auto &other) { return codegen::haveSameKernels(other, segment); });
}

} // namespace

llvm::Expected<std::vector<codegen::CodeSegment>> buildCode(mlir::ModuleOp module, const CompileOptions &options,
                                                            Progress &progress) {
  std::vector<Task> tasks = cpuTasks(module, withBases(options.tiers));
  if (options.vulkan)
    for (const codegen::VulkanTier &tier : codegen::vulkanTiers()) tasks.push_back(gpuTask(module, "vulkan", tier.name));
  std::string assembler = addCudaTasks(module, options, tasks, progress);
  auto build = [&](Kernels kernels, const Task &task) { return buildPart(kernels, task, assembler); };
  auto parts = Builder<SegmentPart>(module, tasks, options.threads, progress, build).run();
  if (!parts) return parts.takeError();
  std::vector<codegen::CodeSegment> segments;
  for (const std::string &tier : options.tiers) {
    std::vector<codegen::ObjectFile> objects;
    for (auto [task, part] : llvm::zip(tasks, *parts))
      if (task.name == tier || task.name == codegen::findCpuTier(tier)->base) objects.push_back(part.object);
    auto segment = codegen::linkCpuSegment(exec::getKernelsFor(module, "cpu"), std::move(objects), *codegen::findCpuTier(tier));
    if (!segment) return llvm::createStringError(tier + ": " + llvm::toString(segment.takeError()));
    segments.push_back(std::move(*segment));
  }
  for (auto [task, part] : llvm::zip(tasks, *parts))
    if (!part.segment.bytes.empty() && !isNoBetter(part.segment, segments)) segments.push_back(std::move(part.segment));
  return segments;
}

llvm::Expected<std::vector<codegen::ObjectFile>> buildLibrary(mlir::ModuleOp module, const CompileOptions &options,
                                                              Progress &progress) {
  auto system = options.kernelLibraryForIos ? codegen::ObjectSystem::Ios : codegen::ObjectSystem::Linux;
  auto build = [&](Kernels kernels, const Task &task) {
    return codegen::buildLibraryObject(kernels.front(), *codegen::findCpuTier(task.name), system);
  };
  auto tasks = cpuTasks(module, options.tiers);
  auto built = Builder<codegen::KernelObject>(module, tasks, options.threads, progress, build).run();
  if (!built) return built.takeError();
  std::vector<codegen::ObjectFile> objects;
  std::vector<codegen::LibraryKernel> kernels;
  llvm::sort(*built, [](const auto &a, const auto &b) { return a.object.name < b.object.name; });
  for (codegen::KernelObject &kernel : *built) {
    objects.push_back(std::move(kernel.object));
    llvm::move(kernel.functions, std::back_inserter(kernels));
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
    out << segment.tier << ": " << header.kernel_count << " kernels, "
        << segment.bytes.size() << " bytes\n";
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
