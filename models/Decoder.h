// The decoder that Llama and its descendants share: norm, grouped-query attention with rotary positions, norm, gated
// MLP. A family says what it does differently.
#pragma once

#include "models/CommonConfig.h"
#include "models/ModelBuilder.h"

namespace llmc::models {

// The defaults of a family's configuration class in transformers, where they differ.
struct DecoderDefaults {
  int64_t vocabulary = 32000, intermediate = 11008, maxPositions = 2048;
  std::optional<int64_t> kvHeads; // none: as many as there are heads
  std::optional<int64_t> headDim; // none: hidden_size / num_attention_heads
};

struct Decoder {
  ModelFacts facts;
  int64_t hidden = 0, intermediate = 0, heads = 0, kvHeads = 0, headDim = 0;
  double epsilon = 1e-6;
  llm::ActivationKind activation = llm::ActivationKind::Silu;
  bool tied = false;
  Rope rope;
  // What the family decides:
  bool queryKeyValueBias = false, outputBias = false, mlpBias = false, queryKeyNorm = false;
  std::vector<int64_t> windows; // by layer, 0: all keys; empty: all layers see all keys
};

// Reads what these families have in common. Sizes are within Limits even when `reader` has failed.
Decoder readDecoder(ConfigReader &reader, const DecoderDefaults &defaults);

// use_sliding_window, sliding_window, max_window_layers and layer_types as Qwen2Config and Qwen3Config read them.
std::vector<int64_t> readQwenWindows(ConfigReader &reader, int64_t layers);

// Emits the model under Hugging Face's tensor names ("model.layers.0.self_attn.q_proj.weight").
ImportedModel buildDecoder(mlir::MLIRContext &context, const Decoder &decoder);

} // namespace llmc::models
