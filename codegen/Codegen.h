// From exec.kernel ops to code segments.
#pragma once

#include "dialects/exec/Exec.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace llmc::codegen {

// A CPU tier: a named set of features that one code segment is made for.
struct CpuTier {
  const char *name;         // "x86-64-v4-vnni"
  const char *triple;       // "x86_64-unknown-linux-gnu"
  const char *cpu;          // LLVM's name of the tuning target
  const char *llvmFeatures; // "+avx2,+fma,..."
  uint32_t architecture;    // llmrt_architecture
  uint64_t features;        // LLMRT_FEATURE_*
  int vectorBits;           // 128, 256, 512
  // The tier whose code serves this one too, but for variants that only this one can have; empty if there is none.
  const char *base = "";
};

const std::vector<CpuTier> &cpuTiers();
const CpuTier *findCpuTier(llvm::StringRef name);

// The first half of SHA-256 over the kernel's kind, config and epilogue in canonical text, and the code generator's
// version. The same for every tier and variant.
std::array<uint8_t, 16> kernelId(exec::KernelOp kernel);

struct CodeSegment {
  std::string target; // "cpu", "vulkan", "cuda"
  std::string tier;   // a CpuTier's, VulkanTier's or CudaTier's name
  std::vector<char> bytes; // as runtime/abi/kernel.h lays it out
};

// Loads what buildCpuSegment() builds with. Once for a context, before any thread calls that.
void loadCodegenDialects(mlir::MLIRContext &context);

struct ObjectFile {
  std::string name; // of an archive's member; in a segment the kernel's id
  std::vector<char> bytes;
};

// Emits and compiles the variants of a kernel for one tier, but for those whose code is its base's; no bytes if that is all
// of them. Same input, same bytes. Several threads may call it at once if their kernels lie in contexts of their own: the
// pass manager loads dialects.
llvm::Expected<ObjectFile> buildCpuObject(exec::KernelOp kernel, const CpuTier &tier);

// Links the objects of `kernels`, for the tier and for its base, in any order, to the tier's segment.
llvm::Expected<CodeSegment> linkCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, std::vector<ObjectFile> objects,
                                           const CpuTier &tier);

// Both, one kernel after the other.
llvm::Expected<CodeSegment> buildCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CpuTier &tier);

// ---- kernels to link into a program, for systems that load no code ---------------------------------------------------

enum class ObjectSystem { Linux, Ios }; // ELF; Mach-O, for arm64 tiers only

// A function that a library of kernels defines: what an llmrt_static_kernel says.
struct LibraryKernel {
  std::array<uint8_t, 16> id;
  std::string tier;
  int64_t firstRows;
  std::string symbol;
};

struct KernelObject {
  ObjectFile object; // a kernel's own, so that a program with two models links what they share once
  std::vector<LibraryKernel> functions;
};

// The object of a kernel for one tier; symbols are made of the tier and the kernel's id. Otherwise like
// buildCpuObject().
llvm::Expected<KernelObject> buildLibraryObject(exec::KernelOp kernel, const CpuTier &tier, ObjectSystem system);

// An object that defines `symbol`, an llmrt_kernel_library of these kernels, for the system of `tier`.
llvm::Expected<ObjectFile> buildKernelRegistry(llvm::ArrayRef<LibraryKernel> kernels, llvm::StringRef symbol,
                                               const CpuTier &tier, ObjectSystem system);

// Of an operand, what a kernel reaches on every device with Vulkan: 128 MiB, the specification's floor of
// maxStorageBufferRange, less what a binding may begin before its operand.
inline constexpr int64_t kVulkanOperandBytes = (int64_t(128) << 20) - 256;
// With CUDA: indices have 32 bits.
inline constexpr int64_t kCudaOperandBytes = (int64_t(1) << 32) - 4096;

// Loads what buildVulkanSegment() builds with, besides what loadCodegenDialects() does.
void loadVulkanDialects(mlir::MLIRContext &context);

// What code for Vulkan is made for: SPIR-V 1.3, which every device with Vulkan 1.1 takes, and more of it where a device
// has the features. All tiers give the same bits, but for products of a device's matrix units, which add in an order of
// their own.
struct VulkanTier {
  const char *name;
  uint64_t features; // LLMRT_FEATURE_*
};

const std::vector<VulkanTier> &vulkanTiers(); // each with more features than the one before
const VulkanTier *findVulkanTier(llvm::StringRef name);

// One of the kernels has a use for what the tier has and the one before has not; else its code would be that one's. Every
// program has a use for the first tier.
bool isOfUse(llvm::ArrayRef<exec::KernelOp> kernels, const VulkanTier &tier);

// The same for Vulkan: a SPIR-V module for each variant, in place of instructions. An error names what GPUs do not have.
llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels, const VulkanTier &tier);

// All kernels of the two are the same, whatever else they need.
bool haveSameKernels(const CodeSegment &a, const CodeSegment &b);

// What code for NVIDIA's GPUs may be made for. NVIDIA's names: compute_75 is PTX for chips from 7.5 on, compute_80 for
// those from 8.0 on, which multiply matrices of bf16, sm_80 the machine code of chips 8.x from 8.0 on, sm_90a of 9.0 alone,
// and compute_90a its PTX.
struct CudaTier {
  const char *name;
  const char *virtualChip; // that the PTX is made for, the cubin's too
  const char *chip;        // of the cubin; empty: PTX
  bool isPtx() const { return chip[0] == 0; }
  bool isForOneChip() const { return llvm::StringRef(name).ends_with("a"); }
  bool isForAll() const { return llvm::StringRef(virtualChip) == "sm_75"; } // chips that llmrt runs on
};

const std::vector<CudaTier> &cudaTiers(); // PTX first
const CudaTier *findCudaTier(llvm::StringRef name);

// ptxas in PATH or in $CUDA_HOME/bin, which is /usr/local/cuda/bin where that is not set; empty if it is in neither.
std::string findPtxas();

// Loads what buildCudaSegment() builds with, besides what loadCodegenDialects() does.
void loadCudaDialects(mlir::MLIRContext &context);

// The same for CUDA: a module for each variant. `assembler`: the path of ptxas, for tiers that are not PTX.
llvm::Expected<CodeSegment> buildCudaSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CudaTier &tier,
                                             llvm::StringRef assembler);

} // namespace llmc::codegen
