#include "test/conformance/Devices.h"

#include "codegen/cpu/Compile.h"
#include "codegen/cpu/SegmentTable.h"
#include "codegen/cuda/Cuda.h"
#include "codegen/gpu/GpuKernel.h"
#include "codegen/gpu/GpuSegment.h"
#include "codegen/vulkan/Vulkan.h"
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
  return llvm::StringSwitch<bool>(tier)
      .Case("x86-64-v3", v3)
      .Case("x86-64-v3-vnni", v3 && (hasAvxVnni() || hasAvx512Vnni()))
      .Case("x86-64-v4", v4)
      .Case("x86-64-v4-vnni", vnni)
      .Case("x86-64-v4-vnni-bf16", vnni && __builtin_cpu_supports("avx512bf16"))
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

using Segment = llvm::Expected<codegen::CodeSegment>;

// What buildCpuSegment() does, with `change` after the emitters.
Segment buildChangedForCpu(exec::KernelOp kernel, const CpuTier &tier, const OnEmission &change) {
  auto described = cpu::describeKernels(kernel, tier);
  if (!described) return described.takeError();
  const cpu::DescribedKernel &own = described->front();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(kernel.getContext()));
  for (auto [i, variant] : llvm::enumerate(own.info.variants))
    cpu::emitVariant(*module, own, variant, cpu::kernelSymbol(own, i), tier);
  change(*module);
  if (llvm::Error error = cpu::lowerToLlvm(*module)) return std::move(error);
  auto bytes = cpu::compileToObject(*module, tier);
  if (!bytes) return bytes.takeError();
  return codegen::linkCpuSegment(kernel, {{own.idText(), {bytes->begin(), bytes->end()}}}, tier);
}

// Likewise of PTX, whose variants are modules of their own.
Segment buildChangedPtx(exec::KernelOp kernel, const codegen::CudaTier &tier, const OnEmission &change) {
  auto lower = [&](mlir::gpu::GPUModuleOp module) -> llvm::Expected<std::vector<char>> {
    change(module->getParentOfType<mlir::ModuleOp>());
    llvm::LLVMContext context;
    auto code = cuda::lowerToNvvm(module, tier.virtualChip, context);
    if (!code) return code.takeError();
    auto ptx = cuda::emitPtx(**code, tier.virtualChip);
    if (!ptx) return ptx.takeError();
    return std::vector<char>(ptx->c_str(), ptx->c_str() + ptx->size() + 1);
  };
  return gpu::buildSegment(kernel, cuda::segmentKind(tier), lower);
}

Segment buildChangedSpirv(exec::KernelOp kernel, const codegen::VulkanTier &tier, const OnEmission &change) {
  auto lower = [&](mlir::gpu::GPUModuleOp module) {
    change(module->getParentOfType<mlir::ModuleOp>());
    return vulkan::lowerToBytes(module, tier.features);
  };
  return gpu::buildSegment(kernel, vulkan::segmentKind(tier), lower);
}

TestDevice cpuDevice(const CpuTier &tier) {
  TestDevice device;
  device.name = tier.name;
  device.order = "cpu";
  device.refusal = [](exec::KernelOp) { return std::string(); };
  device.build = [tier = asRunHere(tier)](llvm::ArrayRef<exec::KernelOp> kernels) {
    return codegen::buildCpuSegment(kernels, tier);
  };
  device.buildChanged = [tier = asRunHere(tier)](exec::KernelOp kernel, const OnEmission &change) {
    return buildChangedForCpu(kernel, tier, change);
  };
  device.runs = [&tier] { return runsHere(tier.name); };
  return device;
}

Backend *keep(llmrt::Result<std::unique_ptr<Backend>> opened, const char *name) {
  if (opened) return (*opened).release();
  llvm::errs() << name << " is not tried: " << opened.status().message() << "\n";
  return nullptr;
}

// A libcuda that the machine has, or the one of the tests, which interprets PTX: what is loaded already is found by its
// name.
Backend *openCuda() {
  if (!llmrt::llmrt_cuda.devices().empty()) return keep(llmrt::llmrt_cuda.open(0), "cuda");
  if (!dlopen(LLMC_FAKE_CUDA, RTLD_NOW | RTLD_GLOBAL)) llvm::errs() << dlerror() << "\n";
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

TestDevice vulkanDevice(const codegen::VulkanTier &tier) {
  TestDevice device;
  device.name = tier.name;
  device.order = "vulkan";
  device.refusal = gpu::refusal;
  device.build = [&tier](llvm::ArrayRef<exec::KernelOp> kernels) { return codegen::buildVulkanSegment(kernels, tier); };
  device.buildChanged = [&tier](exec::KernelOp kernel, const OnEmission &change) {
    return buildChangedSpirv(kernel, tier, change);
  };
  device.backend = [] { return vulkan().backend; };
  device.runs = [&tier] { return vulkan().backend && (tier.features & ~vulkan().features) == 0; };
  return device;
}

TestDevice cudaDevice(const char *name, const codegen::CudaTier &tier) {
  TestDevice device;
  device.name = device.order = name;
  device.refusal = gpu::refusal;
  device.build = [&tier](llvm::ArrayRef<exec::KernelOp> kernels) { return codegen::buildCudaSegment(kernels, tier, ""); };
  device.buildChanged = [&tier](exec::KernelOp kernel, const OnEmission &change) {
    return buildChangedPtx(kernel, tier, change);
  };
  device.backend = cuda;
  device.runs = [] { return cuda() != nullptr; };
  return device;
}

// Kernels without matrix products are those of the row before, less an instruction for int8's.
std::string refusalOfMatrixRow(exec::KernelOp kernel) {
  bool rounds = kernel.getKind() == "norm" && cpu::configString(kernel, "out") == "bf16";
  bool multiplies = kernel.getKind() == "linear" && cpu::configString(kernel, "activations") == "bf16";
  return rounds || multiplies ? gpu::refusal(kernel) : "kernels without matrix products";
}

std::vector<TestDevice> makeDevices() {
  std::vector<TestDevice> all;
  for (const CpuTier &tier : codegen::cpuTiers()) all.push_back(cpuDevice(tier));
  for (const codegen::VulkanTier &tier : codegen::vulkanTiers()) all.push_back(vulkanDevice(tier));
  all.push_back(cudaDevice("cuda", codegen::cudaTiers().front()));
  all.push_back(cudaDevice("cuda-matrix", *codegen::findCudaTier("compute_80"))); // the first PTX with matrix units
  all.back().refusal = refusalOfMatrixRow;
  return all;
}

} // namespace

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
