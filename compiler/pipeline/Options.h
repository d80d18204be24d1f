// What a compile is asked for, checked by the driver before.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llmc {

enum class Phase { Import, Fused, Quantized, Paged, Exec, Kernels, Artifact };
llvm::ArrayRef<llvm::StringRef> phaseNames(); // in order
std::optional<Phase> parsePhase(llvm::StringRef name);

struct CompileOptions {
  std::string model;                 // a path, as CONVENTIONS.md says
  std::vector<std::string> tiers;    // of the CPU; known names, in the registry's order, none twice; none without it
  bool vulkan = false;               // code for Vulkan
  std::vector<std::string> cudaTiers; // likewise, of codegen::cudaTiers(); none: no code for CUDA
  std::string quantization = "none"; // a scheme's name
  // Of quantized linears on the CPU: int8, bf16 or float; of bf16 weights: bf16, else float. Likewise on GPUs.
  std::string activations = "int8", gpuActivations = "float";
  std::string dtype;                 // "float32", "bfloat16", "float16"; empty: the config's
  std::string kvCacheDtype;          // "f32", "bf16", "f16", "int8"; empty: f32 for float32 models, else bf16
  std::optional<uint64_t> randomSeed; // made-up weights
  bool weightsAtLoad = false;         // which llmrt makes: they are not in the file
  uint64_t maxModelLen = 0;          // 0: the config's length
  uint64_t maxNumBatchedTokens = 512, maxNumSeqs = 64;
  Phase stop = Phase::Artifact;
  std::string output;                // empty: <name>-<quantization>.fbs
  std::string kernelLibrary;         // an archive of the kernels, to be linked; empty: none
  bool kernelLibraryForIos = false;  // Mach-O objects; else ELF
  int threads = 1;

  bool hasCpu() const { return !tiers.empty(); }
  bool hasGpu() const { return vulkan || !cudaTiers.empty(); }
  bool hasBoth() const { return hasCpu() && hasGpu(); } // and so a program for each
};

} // namespace llmc
