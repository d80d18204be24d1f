// The flags of llmc compile as given, and what they mean.
#pragma once

#include "compiler/pipeline/Options.h"
#include "llvm/Support/Error.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace llmc {

struct CompileFlags {
  std::string model, quantization = "auto", dtype = "auto", activations, kvCacheDtype = "auto", weights;
  std::string compileTo = "artifact", output, emitKernels, emitKernelsFor = "linux";
  std::vector<std::string> targets, tiers, gpuArchs;
  uint64_t maxModelLen = 0, maxNumBatchedTokens = 512, maxNumSeqs = 64;
  int threads = 0; // 0: one a usable processor
  bool json = false, printMemory = false, weightsAtLoad = false, verbose = false, quiet = false;
};

void addCompileFlags(CLI::App &app, CompileFlags &flags);

// Errors are usage errors: they name the flag, and what there is instead.
llvm::Expected<CompileOptions> resolveFlags(const CompileFlags &flags);

// The best tier of the machine llmc runs on; an error below x86-64-v3.
llvm::Expected<std::string> nativeTier();

} // namespace llmc
