#include "models/Decoder.h"

#include <cmath>

namespace llmc::models {

using mlir::FlatSymbolRefAttr;
using mlir::Value;

Decoder readDecoder(ConfigReader &reader, const DecoderDefaults &defaults) {
  checkUnsupported(reader);
  Decoder d;
  d.facts.dtype = readDtype(reader);
  d.facts.vocabulary = reader.integer("vocab_size", 1, Limits::vocabulary, defaults.vocabulary);
  d.facts.maxPositions = reader.integer("max_position_embeddings", 1, Limits::positions, defaults.maxPositions);
  d.facts.layers = reader.integer("num_hidden_layers", 1, Limits::layers, 32);
  d.facts.initializerRange = reader.number("initializer_range", 0, 1, 0.02);
  d.hidden = reader.integer("hidden_size", 1, Limits::width, 4096);
  d.intermediate = reader.integer("intermediate_size", 1, Limits::inner, defaults.intermediate);
  d.heads = reader.integer("num_attention_heads", 1, Limits::heads, 32);
  d.epsilon = reader.number("rms_norm_eps", 1e-20, 1, 1e-6);
  d.activation = readActivation(reader, "hidden_act", "silu");
  d.tied = reader.boolean("tie_word_embeddings", false);

  int64_t kvHeads = reader.isNull("num_key_value_heads") ? d.heads : defaults.kvHeads.value_or(d.heads);
  d.kvHeads = reader.integer("num_key_value_heads", 1, Limits::heads, kvHeads);
  if (d.heads % d.kvHeads != 0)
    reader.refuse("num_key_value_heads", "it must divide num_attention_heads (" + llvm::Twine(d.heads) + ")");
  if (!reader.has("head_dim") && !defaults.headDim && d.hidden % d.heads != 0)
    reader.refuse("num_attention_heads", "it must divide hidden_size (" + llvm::Twine(d.hidden) +
                                             ") where there is no head_dim");
  d.headDim = reader.integer("head_dim", 2, Limits::headDim, defaults.headDim.value_or(d.hidden / d.heads));
  if (d.headDim % 2 != 0 || d.headDim < 2 || d.headDim > Limits::headDim)
    reader.refuse("head_dim", "heads have " + llvm::Twine(d.headDim) +
                                  " elements; rotary positions need an even number from 2 to " +
                                  llvm::Twine(Limits::headDim));
  if (d.heads * d.headDim > Limits::width)
    reader.refuse("num_attention_heads", "heads x head_dim must be at most " + llvm::Twine(Limits::width));
  d.rope = readRope(reader, d.headDim, d.facts.maxPositions);
  d.facts.usesRopeLength = d.rope.scaling == "dynamic";
  return d;
}

std::vector<int64_t> readQwenWindows(ConfigReader &reader, int64_t layers) {
  bool uses = reader.boolean("use_sliding_window", false);
  int64_t window = reader.isNull("sliding_window") ? 0 : reader.integer("sliding_window", 1, Limits::positions, 4096);
  if (!uses)
    window = 0;
  int64_t firstLayer = reader.integer("max_window_layers", 0, Limits::positions, 28);
  auto types = reader.choices("layer_types", {"full_attention", "sliding_attention", "attention"}, layers);
  std::vector<int64_t> windows(layers, 0);
  for (int64_t layer = 0; layer < layers; ++layer) {
    bool slides = types ? (*types)[layer] == "sliding_attention" : layer >= firstLayer;
    if (types && slides && window == 0)
      reader.refuse("layer_types", "a layer is sliding_attention, which needs use_sliding_window true and a "
                                   "sliding_window");
    windows[layer] = slides ? window : 0;
  }
  return windows;
}

namespace {

// Emits one layer after the other.
class DecoderBuilder {
public:
  DecoderBuilder(mlir::MLIRContext &context, const Decoder &decoder) : b(context, decoder.facts), d(decoder), rope(decoder.rope.get(context)) {}

  ImportedModel build() {
    FlatSymbolRefAttr embedding = b.matrix("embed", "model.embed_tokens.weight", d.facts.vocabulary, d.hidden);
    Value x = b.embed(embedding, d.hidden);
    for (int64_t layer = 0; layer < d.facts.layers; ++layer) {
      b.enter("layers." + llvm::Twine(layer));
      symbols = "l" + std::to_string(layer) + ".";
      tensors = "model.layers." + std::to_string(layer) + ".";
      x = b.add(x, attention(norm(x, "attn_norm", "input_layernorm", d.hidden), layer));
      x = b.add(x, mlp(norm(x, "mlp_norm", "post_attention_layernorm", d.hidden)));
    }
    b.enter("head");
    FlatSymbolRefAttr weight = b.vector("final_norm", "model.norm.weight", d.hidden, TensorRole::NormWeight);
    Value hidden = b.norm(b.selectRows(x, /*hidden=*/true), weight, {}, d.epsilon);
    x = b.norm(b.selectRows(x), weight, {}, d.epsilon);
    FlatSymbolRefAttr head = d.tied ? embedding : b.matrix("head", "lm_head.weight", d.facts.vocabulary, d.hidden);
    return b.finish(b.linear(x, head, d.facts.vocabulary), hidden);
  }

private:
  Value norm(Value x, llvm::StringRef symbol, llvm::StringRef tensor, int64_t size, int64_t group = 0) {
    auto weight = b.vector(symbols + symbol, tensors + tensor + ".weight", size, TensorRole::NormWeight);
    return b.norm(x, weight, {}, d.epsilon, group);
  }

  Value linear(Value x, llvm::StringRef symbol, llvm::StringRef tensor, int64_t outputs, int64_t inputs, bool bias) {
    auto weight = b.matrix(symbols + symbol, tensors + tensor + ".weight", outputs, inputs);
    FlatSymbolRefAttr vector;
    if (bias)
      vector = b.vector(symbols + symbol + ".bias", tensors + tensor + ".bias", outputs, TensorRole::Bias);
    return b.linear(x, weight, outputs, vector);
  }

  Value attention(Value x, int64_t layer) {
    int64_t queries = d.heads * d.headDim, keys = d.kvHeads * d.headDim;
    Value q = linear(x, "q", "self_attn.q_proj", queries, d.hidden, d.queryKeyValueBias);
    Value k = linear(x, "k", "self_attn.k_proj", keys, d.hidden, d.queryKeyValueBias);
    Value v = linear(x, "v", "self_attn.v_proj", keys, d.hidden, d.queryKeyValueBias);
    if (d.queryKeyNorm) {
      q = norm(q, "q_norm", "self_attn.q_norm", d.headDim, d.headDim);
      k = norm(k, "k_norm", "self_attn.k_norm", d.headDim, d.headDim);
    }
    q = b.rope(q, d.heads, rope);
    k = b.rope(k, d.kvHeads, rope);
    Value o = b.attention(q, k, v, {.layer = layer, .heads = d.heads, .kvHeads = d.kvHeads, .headDim = d.headDim,
                                    .scale = 1 / std::sqrt(double(d.headDim)),
                                    .window = d.windows.empty() ? 0 : d.windows[layer]});
    return linear(o, "o", "self_attn.o_proj", d.hidden, queries, d.outputBias);
  }

  Value mlp(Value x) {
    Value gate = linear(x, "gate", "mlp.gate_proj", d.intermediate, d.hidden, d.mlpBias);
    Value up = linear(x, "up", "mlp.up_proj", d.intermediate, d.hidden, d.mlpBias);
    Value product = b.mul(b.activation(gate, d.activation), up);
    return linear(product, "down", "mlp.down_proj", d.hidden, d.intermediate, d.mlpBias);
  }

  ModelBuilder b;
  const Decoder &d;
  llm::RopeAttr rope;
  std::string symbols, tensors; // prefixes of the layer
};

} // namespace

ImportedModel buildDecoder(mlir::MLIRContext &context, const Decoder &decoder) {
  return DecoderBuilder(context, decoder).build();
}

} // namespace llmc::models
