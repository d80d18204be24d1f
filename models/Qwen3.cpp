// Qwen 3 (dense): Llama with an RMS norm on each head of query and key, before the rotation; heads are 128 wide unless
// head_dim says otherwise, whatever hidden_size is. transformers' models/qwen3.
#include "models/Decoder.h"
#include "models/Families.h"

namespace llmc::models {

static llvm::Expected<ImportedModel> importQwen3(mlir::MLIRContext &context, const nlohmann::json &config) {
  ConfigReader reader(config);
  DecoderDefaults defaults;
  defaults.vocabulary = 151936;
  defaults.intermediate = 22016;
  defaults.maxPositions = 32768;
  defaults.kvHeads = 32;
  defaults.headDim = 128;
  Decoder decoder = readDecoder(reader, defaults);
  bool bias = reader.boolean("attention_bias", false);
  decoder.queryKeyValueBias = decoder.outputBias = bias;
  decoder.queryKeyNorm = true;
  decoder.windows = readQwenWindows(reader, decoder.facts.layers);
  if (llvm::Error error = reader.takeError())
    return error;
  return buildDecoder(context, decoder);
}

Family qwen3Family() {
  return {"qwen3",
          {"qwen3"},
          {"Qwen3ForCausalLM"},
          "norms on query and key heads, head_dim, attention_bias, windows by layer (use_sliding_window, "
          "max_window_layers, layer_types), tied or untied head, rope scaling linear, dynamic, llama3, yarn",
          importQwen3};
}

} // namespace llmc::models
