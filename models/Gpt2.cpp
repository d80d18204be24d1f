// GPT-2: layer norms, one projection for query, key and value, learned positions, an MLP without a gate. Its matrices
// are stored [inputs, outputs] (Conv1D). transformers' models/gpt2.
#include "models/CommonConfig.h"
#include "models/Families.h"
#include "models/ModelBuilder.h"

#include <cmath>

namespace llmc::models {

using mlir::FlatSymbolRefAttr;
using mlir::Value;

namespace {

struct Gpt2 {
  ModelFacts facts;
  int64_t hidden, inner, heads;
  double epsilon;
  llm::ActivationKind activation;
  bool tied, scaleByHead, scaleByLayer;
};

// GPT2Config's attribute_map: the common names work too.
const char *nameOf(const ConfigReader &reader, const char *own, const char *common) {
  return reader.has(own) || !reader.has(common) ? own : common;
}

Gpt2 readGpt2(ConfigReader &reader) {
  checkUnsupported(reader);
  Gpt2 g;
  g.facts.dtype = readDtype(reader);
  g.facts.vocabulary = reader.integer("vocab_size", 1, Limits::vocabulary, 50257);
  const char *positions = nameOf(reader, "n_positions", "max_position_embeddings");
  g.facts.maxPositions = reader.integer(positions, 1, int64_t(1) << 24, 1024);
  g.facts.positionsAreBounded = true;
  g.facts.layers = reader.integer(nameOf(reader, "n_layer", "num_hidden_layers"), 1, Limits::layers, 12);
  g.facts.initializerRange = reader.number("initializer_range", 0, 1, 0.02);
  g.hidden = reader.integer(nameOf(reader, "n_embd", "hidden_size"), 1, Limits::width, 768);
  const char *heads = nameOf(reader, "n_head", "num_attention_heads");
  g.heads = reader.integer(heads, 1, Limits::heads, 12);
  if (g.hidden % g.heads != 0 || g.hidden / g.heads > Limits::headDim)
    reader.refuse(heads, "it must divide n_embd (" + llvm::Twine(g.hidden) + ") into heads of at most " +
                             llvm::Twine(Limits::headDim));
  g.inner = reader.integer("n_inner", 1, Limits::inner, 4 * g.hidden);
  g.epsilon = reader.number("layer_norm_epsilon", 1e-20, 1, 1e-5);
  g.activation = readActivation(reader, "activation_function", "gelu_new");
  g.tied = reader.boolean("tie_word_embeddings", true);
  g.scaleByHead = reader.boolean("scale_attn_weights", true);
  g.scaleByLayer = reader.boolean("scale_attn_by_inverse_layer_idx", false);
  reader.boolean("reorder_and_upcast_attn", false); // scores are f32 here in any case
  return g;
}

class Gpt2Builder {
public:
  Gpt2Builder(mlir::MLIRContext &context, const Gpt2 &config) : b(context, config.facts), g(config) {}

  ImportedModel build() {
    FlatSymbolRefAttr embedding = b.matrix("embed", "transformer.wte.weight", g.facts.vocabulary, g.hidden);
    FlatSymbolRefAttr positions = b.matrix("positions", "transformer.wpe.weight", g.facts.maxPositions, g.hidden);
    Value x = b.embed(embedding, g.hidden, positions);
    for (int64_t layer = 0; layer < g.facts.layers; ++layer) {
      b.enter("h." + llvm::Twine(layer));
      symbols = "l" + std::to_string(layer) + ".";
      tensors = "transformer.h." + std::to_string(layer) + ".";
      x = b.add(x, attention(norm(x, "attn_norm", "ln_1"), layer));
      x = b.add(x, mlp(norm(x, "mlp_norm", "ln_2")));
    }
    b.enter("head");
    auto weight = b.vector("final_norm", "transformer.ln_f.weight", g.hidden, TensorRole::NormWeight);
    auto bias = b.vector("final_norm.bias", "transformer.ln_f.bias", g.hidden, TensorRole::Bias);
    Value hidden = b.norm(b.selectRows(x, /*hidden=*/true), weight, bias, g.epsilon);
    x = b.norm(b.selectRows(x), weight, bias, g.epsilon);
    FlatSymbolRefAttr head = g.tied ? embedding : b.matrix("head", "lm_head.weight", g.facts.vocabulary, g.hidden);
    return b.finish(b.linear(x, head, g.facts.vocabulary), hidden);
  }

private:
  Value norm(Value x, llvm::StringRef symbol, llvm::StringRef tensor) {
    auto weight = b.vector(symbols + symbol, tensors + tensor + ".weight", g.hidden, TensorRole::NormWeight);
    auto bias = b.vector(symbols + symbol + ".bias", tensors + tensor + ".bias", g.hidden, TensorRole::Bias);
    return b.norm(x, weight, bias, g.epsilon);
  }

  Value linear(Value x, llvm::StringRef symbol, llvm::StringRef tensor, int64_t outputs, int64_t inputs) {
    auto weight = b.matrix(symbols + symbol, tensors + tensor + ".weight", outputs, inputs, /*transposed=*/true);
    auto bias = b.vector(symbols + symbol + ".bias", tensors + tensor + ".bias", outputs, TensorRole::Bias);
    return b.linear(x, weight, outputs, bias);
  }

  Value attention(Value x, int64_t layer) {
    Value qkv = linear(x, "qkv", "attn.c_attn", 3 * g.hidden, g.hidden);
    Value q = b.slice(qkv, 0, g.hidden), k = b.slice(qkv, g.hidden, g.hidden), v = b.slice(qkv, 2 * g.hidden, g.hidden);
    int64_t headDim = g.hidden / g.heads;
    double scale = (g.scaleByHead ? 1 / std::sqrt(double(headDim)) : 1.0) / (g.scaleByLayer ? double(layer + 1) : 1.0);
    Value o = b.attention(q, k, v, {.layer = layer, .heads = g.heads, .kvHeads = g.heads, .headDim = headDim,
                                    .scale = scale, .window = 0});
    return linear(o, "o", "attn.c_proj", g.hidden, g.hidden);
  }

  Value mlp(Value x) {
    Value inner = b.activation(linear(x, "up", "mlp.c_fc", g.inner, g.hidden), g.activation);
    return linear(inner, "down", "mlp.c_proj", g.hidden, g.inner);
  }

  ModelBuilder b;
  const Gpt2 &g;
  std::string symbols, tensors; // prefixes of the layer
};

llvm::Expected<ImportedModel> importGpt2(mlir::MLIRContext &context, const nlohmann::json &config) {
  ConfigReader reader(config);
  Gpt2 gpt2 = readGpt2(reader);
  if (llvm::Error error = reader.takeError())
    return error;
  return Gpt2Builder(context, gpt2).build();
}

} // namespace

Family gpt2Family() {
  return {"gpt2",
          {"gpt2"},
          {"GPT2LMHeadModel"},
          "learned positions, activation_function, n_inner, scale_attn_weights, scale_attn_by_inverse_layer_idx, "
          "reorder_and_upcast_attn, tied or untied head",
          importGpt2};
}

} // namespace llmc::models
