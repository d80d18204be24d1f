// Qwen 2 and 2.5: Llama with biases on query, key and value alone, and windows by layer. transformers' models/qwen2.
#include "models/Decoder.h"
#include "models/Families.h"

namespace llmc::models {

static llvm::Expected<ImportedModel> importQwen2(mlir::MLIRContext &context, const nlohmann::json &config) {
  ConfigReader reader(config);
  DecoderDefaults defaults;
  defaults.vocabulary = 151936;
  defaults.intermediate = 22016;
  defaults.maxPositions = 32768;
  defaults.kvHeads = 32;
  Decoder decoder = readDecoder(reader, defaults);
  decoder.queryKeyValueBias = true;
  decoder.windows = readQwenWindows(reader, decoder.facts.layers);
  if (llvm::Error error = reader.takeError())
    return error;
  return buildDecoder(context, decoder);
}

Family qwen2Family() {
  return {"qwen2",
          {"qwen2"},
          {"Qwen2ForCausalLM"},
          "biases on query, key and value, windows by layer (use_sliding_window, max_window_layers, layer_types), tied "
          "or untied head, rope scaling linear, dynamic, llama3, yarn",
          importQwen2};
}

} // namespace llmc::models
