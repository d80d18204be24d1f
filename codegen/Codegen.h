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
};

const std::vector<CpuTier> &cpuTiers();
const CpuTier *findCpuTier(llvm::StringRef name);

// The first half of SHA-256 over the kernel's kind, config and epilogue in canonical text, and the code generator's
// version. The same for every tier and variant.
std::array<uint8_t, 16> kernelId(exec::KernelOp kernel);

struct CodeSegment {
  std::string target; // "cpu", "vulkan"
  std::string tier;   // of the CPU; "spirv"
  std::vector<char> bytes; // as runtime/abi/kernel.h lays it out
};

// Loads what buildCpuSegment() builds with. Once for a context, before any thread calls that.
void loadCodegenDialects(mlir::MLIRContext &context);

struct ObjectFile {
  std::string name; // of an archive's member; in a segment the kernel's id
  std::vector<char> bytes;
};

// Emits and compiles all variants of a kernel for one tier. Same input, same bytes. Several threads may call it at once
// if their kernels lie in contexts of their own: the pass manager loads dialects.
llvm::Expected<ObjectFile> buildCpuObject(exec::KernelOp kernel, const CpuTier &tier);

// Links the objects of `kernels`, in any order, to the tier's segment.
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

// Loads what buildVulkanSegment() builds with, besides what loadCodegenDialects() does.
void loadVulkanDialects(mlir::MLIRContext &context);

// Why Vulkan cannot run this kernel yet, for people; empty if it can.
std::string vulkanRefusal(exec::KernelOp kernel);

// The same for Vulkan: a SPIR-V module for each variant, in place of instructions.
llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels);

} // namespace llmc::codegen
