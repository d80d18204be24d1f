// The artifact's flatbuffer, from the exec module and what the runtime needs to know about the model.
#pragma once

#include "codegen/Codegen.h"
#include "compiler/emit/GoldenTable.h"
#include "compiler/emit/WeightPlan.h"
#include "compiler/emit/WeightWriter.h"
#include "runtime/schema/artifact_generated.h"

#include "llvm/ADT/StringMap.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace llmc {

struct GenerationDefaults {
  bool doSample = false;
  float temperature = 1, topP = 1, minP = 0, repetitionPenalty = 1;
  int32_t topK = -1;
  std::vector<int32_t> endIds;
};

// The schema's Model table.
struct ModelInfo {
  std::string name, family, dtype, quantization, activations, kvCacheDtype;
  uint32_t vocabulary = 0;
  uint64_t maxPositions = 0, parameters = 0;
  bool positionsAreBounded = false, usesRopeLength = false;
  int32_t beginId = -1, padId = -1;
  GenerationDefaults generation;
  uint64_t defaultMaxModelLen = 0, defaultMaxNumBatchedTokens = 0, defaultMaxNumSeqs = 0;
};

struct KernelName {
  std::string name;
  std::array<uint8_t, 16> id;
};

using TokenizerOffset = flatbuffers::Offset<llmrt::schema::Tokenizer>;

// How weights that are not in the file are made when it is loaded.
struct RandomWeights {
  uint64_t seed = 0;
  float deviation = 0;
  std::string element; // "f32", "bf16", "f16"
  struct Tensor {
    uint64_t columns = 1; // of a stored row
    bool ones = false;
  };
  llvm::StringMap<Tensor> tensors; // by their names in a checkpoint
};

// Everything but the weights' bytes.
struct ArtifactContents {
  mlir::ModuleOp module; // of the phase exec, memory planned
  WeightPlan weights;
  std::optional<RandomWeights> random; // set: the weights' bytes are not written
  std::vector<KernelName> kernels; // of the module's exec.kernel ops, in their order
  GoldenTable goldens;             // of the kernels
  std::vector<codegen::CodeSegment> code;
  ModelInfo model;
  std::function<TokenizerOffset(flatbuffers::FlatBufferBuilder &)> tokenizer; // empty: there is none
  std::vector<std::pair<std::string, std::string>> chatTemplates; // name, source
  std::string specialTokensJson;
  std::string producer;
};

struct SegmentPlace {
  uint64_t offset = 0, bytes = 0; // in the file
};

// Code segments, then the weights, which are at 0 where they are not in the file.
struct FileLayout {
  std::vector<SegmentPlace> code;
  SegmentPlace weights;
  uint64_t end = 0; // of the file
};

// The metadata with every hash zero. Its size does not depend on `layout`'s figures or on hashes.
llvm::Expected<flatbuffers::DetachedBuffer> buildMetadata(const ArtifactContents &contents, const FileLayout &layout);

// Fills the hashes in: structs lie in the buffer as they are.
void setHashes(flatbuffers::DetachedBuffer &metadata, llvm::ArrayRef<llmrt::Sha256Digest> code,
               const SegmentHashes &weights);

} // namespace llmc
