// What every family's config.json has in common, read the way transformers reads it.
#pragma once

#include "dialects/llm/Llm.h"
#include "models/ConfigReader.h"

namespace llmc::models {

// Sizes beyond these are refused before any IR is made. They are far above every published model; their products stay
// below 2^62 bytes.
struct Limits {
  static constexpr int64_t layers = 4096;
  static constexpr int64_t width = int64_t(1) << 20; // hidden, heads x head_dim, intermediate / 8
  static constexpr int64_t heads = int64_t(1) << 14;
  static constexpr int64_t headDim = int64_t(1) << 12;
  static constexpr int64_t inner = int64_t(1) << 23;
  static constexpr int64_t vocabulary = int64_t(1) << 24;
  static constexpr int64_t positions = int64_t(1) << 30;
};

// Fields of every config that either change nothing or are refused: quantization_config, is_causal, ...
void checkUnsupported(ConfigReader &reader);

// dtype, or torch_dtype of older files: "float32" (also where there is none), "bfloat16" or "float16".
std::string readDtype(ConfigReader &reader);

// A name of transformers' ACT2FN.
llm::ActivationKind readActivation(ConfigReader &reader, llvm::StringRef field, llvm::StringRef fallback);

// The parameters of #llm.rope, see there.
struct Rope {
  int64_t dim = 2, original = 0;
  double base = 10000, factor = 1, low = 1, high = 1, betaFast = 32, betaSlow = 1, attentionFactor = 1;
  bool truncate = true;
  std::string scaling = "default";

  llm::RopeAttr get(mlir::MLIRContext &context) const;
};

// rope_parameters, or rope_theta and rope_scaling of older files, as transformers 5 standardizes them
// (modeling_rope_utils.py): rope_scaling wins where both are there, rope_theta inside them over the one outside.
// `headDim` elements of each head turn.
Rope readRope(ConfigReader &reader, int64_t headDim, int64_t maxPositions);

} // namespace llmc::models
