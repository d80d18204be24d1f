// llmc compile: from a checkpoint to the artifact, or to the IR of a phase before it.
#pragma once

#include "compiler/import/Checkpoint.h"
#include "compiler/pipeline/Options.h"
#include "compiler/pipeline/Progress.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace llmc {

struct CompileResult {
  std::string artifact; // the file; empty where a phase's IR was printed
  std::string kernelLibrary; // likewise
  std::string rootHash; // hexadecimal
  uint64_t bytes = 0, weightBytes = 0;
};

// `ir` takes the text of --compile-to.
llvm::Expected<CompileResult> compile(const CompileOptions &options, Progress &progress, llvm::raw_ostream &ir);

// The made-up weights of --weights random:SEED: rounded to the config's dtype, spread as it says.
std::unique_ptr<TensorSource> randomTensorsFor(const models::ImportedModel &model, uint64_t seed);

} // namespace llmc
