#include "test/conformance/Devices.h"

#include "codegen/cpu/Compile.h"
#include "codegen/cpu/SegmentTable.h"
#include "codegen/cuda/Cuda.h"
#include "codegen/gpu/GpuKernel.h"
#include "codegen/gpu/GpuSegment.h"
#include "codegen/vulkan/Vulkan.h"
#include "runtime/base/os.h"
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/vulkan/vulkan_device.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include <dlfcn.h>

namespace llmc::conformance {

namespace {

using codegen::CpuTier;
using Backend = llmrt::gpu::Backend;

#if defined(__x86_64__)
bool hasAvxVnni() {
  uint32_t a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
bool hasAvx512Vnni() { return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"); }

bool runsHere(llvm::StringRef tier) {
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool v4 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  bool vnni = v4 && __builtin_cpu_supports("avx512vnni");
  bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  bool amx = __builtin_cpu_supports("amx-int8") && llmrt::os::allow_tile_registers();
  return llvm::StringSwitch<bool>(tier)
      .Case("x86-64-v3", v3)
      .Case("x86-64-v3-vnni", v3 && (hasAvxVnni() || hasAvx512Vnni()))
      .Case("x86-64-v4", v4)
      .Case("x86-64-v4-vnni", vnni)
      .Case("x86-64-v4-vnni-bf16", bf16)
      .Case("x86-64-v4-amx", vnni && amx)
      .Case("x86-64-v4-amx-bf16", bf16 && amx)
      .Default(false);
}
#else
bool runsHere(llvm::StringRef tier) { return tier == "arm64-dotprod"; }
#endif

// The tier as this machine can run it. Where vpdpbusd of 256 bits exists in its AVX-512 form only, the same code is
// encoded so.
CpuTier asRunHere(CpuTier tier) {
#if defined(__x86_64__)
  if (llvm::StringRef(tier.name) == "x86-64-v3-vnni" && !hasAvxVnni()) tier.llvmFeatures = "+avx512vl,+avx512vnni";
#endif
  return tier;
}

using Bytes = std::vector<char>;

cpu::DescribedKernel describeForCpu(exec::KernelOp kernel, const CpuTier &tier) {
  auto described = cpu::describeKernels(kernel, tier);
  if (!described) llvm::report_fatal_error(described.takeError());
  return std::move(described->front());
}

// What buildCpuSegment() does, but that every variant is an object of its own.
Steps cpuSteps(const CpuTier &tier) {
  Steps steps;
  steps.variants = [tier](exec::KernelOp kernel) { return describeForCpu(kernel, tier).info.variants.size(); };
  steps.emit = [tier](exec::KernelOp kernel, size_t variant) {
    mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(kernel.getContext()));
    cpu::DescribedKernel own = describeForCpu(kernel, tier);
    cpu::emitVariant(*module, own, own.info.variants[variant], cpu::kernelSymbol(own, variant), tier);
    return module;
  };
  steps.lower = [tier](mlir::ModuleOp module) -> llvm::Expected<Bytes> {
    if (llvm::Error error = cpu::lowerToLlvm(module)) return std::move(error);
    auto object = cpu::compileToObject(module, tier);
    if (!object) return object.takeError();
    return Bytes(object->begin(), object->end());
  };
  steps.link = [tier](exec::KernelOp kernel, const std::vector<Bytes> &variants) {
    std::vector<codegen::ObjectFile> objects;
    for (const Bytes &object : variants) objects.push_back({std::to_string(objects.size()), object});
    return codegen::linkCpuSegment(kernel, std::move(objects), tier);
  };
  return steps;
}

// Likewise of a GPU's segments. `lower`: a module's bytes.
Steps gpuSteps(const gpu::SegmentKind &kind,
               const std::function<llvm::Expected<Bytes>(mlir::gpu::GPUModuleOp)> &lower) {
  Steps steps;
  steps.variants = [kind](exec::KernelOp kernel) { return gpu::describe(kernel, kind.matrixUnits).variants.size(); };
  steps.emit = [kind](exec::KernelOp kernel, size_t variant) {
    mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(kernel.getContext()));
    gpu::emitKernel(*module, kernel, gpu::describe(kernel, kind.matrixUnits), variant, "main", kind.features,
                    kind.matrixUnits);
    return module;
  };
  steps.lower = [lower](mlir::ModuleOp module) { return lower(*module.getOps<mlir::gpu::GPUModuleOp>().begin()); };
  steps.link = [kind](exec::KernelOp kernel, const std::vector<Bytes> &variants) {
    size_t next = 0;
    return gpu::buildSegment(kernel, kind, [&](mlir::gpu::GPUModuleOp) -> llvm::Expected<Bytes> { return variants[next++]; });
  };
  return steps;
}

llvm::Expected<Bytes> lowerToPtx(mlir::gpu::GPUModuleOp module, const codegen::CudaTier &tier) {
  llvm::LLVMContext context;
  auto code = cuda::lowerToNvvm(module, tier.virtualChip, context);
  if (!code) return code.takeError();
  auto ptx = cuda::emitPtx(**code, tier.virtualChip);
  if (!ptx) return ptx.takeError();
  return Bytes(ptx->c_str(), ptx->c_str() + ptx->size() + 1);
}

TestDevice cpuDevice(const CpuTier &tier) {
  TestDevice device;
  device.name = tier.name;
  device.order = "cpu";
  device.refusal = [](exec::KernelOp kernel) { return std::string(exec::isForGpusAlone(kernel) ? "what GPUs alone have" : ""); };
  device.build = [tier = asRunHere(tier)](llvm::ArrayRef<exec::KernelOp> kernels) {
    return codegen::buildCpuSegment(kernels, tier);
  };
  device.steps = cpuSteps(asRunHere(tier));
  device.runs = [&tier] { return runsHere(tier.name); };
  return device;
}

Backend *keep(llmrt::Result<std::unique_ptr<Backend>> opened, const char *name) {
  if (opened) return (*opened).release();
  llvm::errs() << name << " is not tried: " << opened.status().message() << "\n";
  return nullptr;
}

// A libcuda that the machine has, or the one of the tests, which interprets PTX.
Backend *openCuda() {
  if (llmrt::llmrt_cuda.devices().empty()) interpretCuda();
  return keep(llmrt::llmrt_cuda.open(0), "cuda");
}

struct Vulkan {
  Backend *backend;
  uint64_t features = 0;
};
const Vulkan &vulkan() {
  static const Vulkan opened = [] {
    Vulkan vulkan;
    vulkan.backend = keep(llmrt::open_vulkan(-1, &vulkan.features), "vulkan");
    return vulkan;
  }();
  return opened;
}
Backend *cuda() {
  static Backend *const opened = openCuda();
  return opened;
}

// Kernels without sums or maxima over threads are those of the tier before (SpirvModules_test.cpp).
std::string refusalOfSubgroupRow(exec::KernelOp kernel) {
  llvm::StringRef kind = kernel.getKind();
  bool sums = kind == "norm" && cpu::configString(kernel, "kind") != "none";
  bool rounds = kind == "norm" && cpu::configString(kernel, "out") == "int8";
  bool scales = kind == "rope" && cpu::configString(kernel, "norm") != "none";
  return sums || rounds || scales ? gpu::refusal(kernel) : "kernels without reductions";
}

// Kernels without matrix products are those of a row before, on CUDA less an instruction for int8's. Those that round for
// one are in its tests.
std::string refusalOfMatrixRow(exec::KernelOp kernel) {
  bool rounds = kernel.getKind() == "norm" && cpu::configString(kernel, "out") == "bf16";
  bool multiplies = kernel.getKind() == "linear" && cpu::configString(kernel, "activations") == "bf16";
  return rounds || multiplies ? gpu::refusal(kernel) : "kernels without matrix products";
}

TestDevice vulkanDevice(const codegen::VulkanTier &tier) {
  TestDevice device;
  device.name = tier.name;
  device.order = "vulkan";
  device.refusal = gpu::refusal;
  if (tier.features & LLMRT_FEATURE_SUBGROUP_SHUFFLE) device.refusal = refusalOfSubgroupRow;
  if (tier.features & LLMRT_FEATURE_MATRIX_BF16) {
    device.order = tier.name;
    device.refusal = refusalOfMatrixRow;
  }
  device.build = [&tier](llvm::ArrayRef<exec::KernelOp> kernels) { return codegen::buildVulkanSegment(kernels, tier); };
  device.steps = gpuSteps(vulkan::segmentKind(tier), [&tier](mlir::gpu::GPUModuleOp module) {
    return vulkan::lowerToBytes(module, tier.features);
  });
  device.backend = [] { return vulkan().backend; };
  device.runs = [&tier] { return vulkan().backend && (tier.features & ~vulkan().features) == 0; };
  return device;
}

TestDevice cudaDevice(const char *name, const codegen::CudaTier &tier) {
  TestDevice device;
  device.name = device.order = name;
  device.refusal = gpu::refusal;
  device.build = [&tier](llvm::ArrayRef<exec::KernelOp> kernels) { return codegen::buildCudaSegment(kernels, tier, ""); };
  device.steps = gpuSteps(cuda::segmentKind(tier), [&tier](mlir::gpu::GPUModuleOp module) { return lowerToPtx(module, tier); });
  device.backend = cuda;
  device.runs = [] { return cuda() != nullptr; };
  return device;
}

std::vector<TestDevice> makeDevices() {
  std::vector<TestDevice> all;
  for (const CpuTier &tier : codegen::cpuTiers()) all.push_back(cpuDevice(tier));
  for (const codegen::VulkanTier &tier : codegen::vulkanTiers()) all.push_back(vulkanDevice(tier));
  all.push_back(cudaDevice("cuda", codegen::cudaTiers().front()));
  all.push_back(cudaDevice("cuda-matrix", *codegen::findCudaTier("compute_80"))); // the first PTX with matrix units
  all.back().refusal = refusalOfMatrixRow;
  all.push_back(cudaDevice("cuda-warpgroup", *codegen::findCudaTier("compute_90a")));
  all.back().refusal = refusalOfMatrixRow;
  return all;
}

} // namespace

llvm::Expected<codegen::CodeSegment> buildChanged(exec::KernelOp kernel, const TestDevice &device,
                                                  llvm::function_ref<void(mlir::ModuleOp)> change) {
  std::vector<Bytes> code;
  for (size_t variant = 0; variant < device.steps.variants(kernel); ++variant) {
    mlir::OwningOpRef<mlir::ModuleOp> module = device.steps.emit(kernel, variant);
    change(*module);
    auto bytes = device.steps.lower(*module);
    if (!bytes) return bytes.takeError();
    code.push_back(std::move(*bytes));
  }
  return device.steps.link(kernel, code);
}

// What is loaded already is found by its name.
void interpretCuda() {
  if (!dlopen(LLMC_FAKE_CUDA, RTLD_NOW | RTLD_GLOBAL)) llvm::errs() << dlerror() << "\n";
}

std::vector<TestDevice> &allDevices() {
  static std::vector<TestDevice> all = makeDevices();
  return all;
}

const TestDevice &findDevice(const std::string &name) {
  for (const TestDevice &device : allDevices())
    if (device.name == name) return device;
  llvm::report_fatal_error(llvm::Twine("there is no device ") + name);
}

// LLMC_DEVICES: those to try, separated by commas, for who works on one of them; not set: all.
static bool isWanted(const TestDevice &device) {
  const char *wanted = getenv("LLMC_DEVICES");
  if (!wanted) return device.runs();
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef(wanted).split(names, ',');
  return llvm::is_contained(names, device.name) && device.runs();
}

std::vector<std::string> devices() {
  std::vector<std::string> names;
  for (const TestDevice &device : allDevices())
    if (isWanted(device)) names.push_back(device.name);
  return names;
}

std::vector<std::string> runnableTiers() {
  std::vector<std::string> names;
  for (const TestDevice &device : allDevices())
    if (!device.backend && isWanted(device)) names.push_back(device.name);
  return names;
}

void loadDialects(mlir::MLIRContext &context) {
  codegen::loadCodegenDialects(context);
  codegen::loadVulkanDialects(context);
  codegen::loadCudaDialects(context);
}

} // namespace llmc::conformance
