// Writes the artifact: prefix, metadata, code, weights. The file appears under its name only when it is whole and has
// passed the runtime's verifier; until then it lies beside it under a temporary name, which is removed on failure.
#pragma once

#include "compiler/emit/Metadata.h"
#include "compiler/emit/WeightWriter.h"

namespace llmc {

struct WrittenArtifact {
  llmrt::Sha256Digest rootHash{};
  uint64_t bytes = 0, weightBytes = 0;
};

// Errors name the file and, where a number of the checkpoint is at fault, its tensor.
llvm::Expected<WrittenArtifact> writeArtifact(const ArtifactContents &contents, const TensorSource &tensors,
                                              const std::string &path, const WeightWriterOptions &options);

} // namespace llmc
