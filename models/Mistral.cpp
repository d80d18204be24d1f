// Mistral: Llama without biases and with a sliding window in every layer, or in none (sliding_window null). The class
// default is a window of 4096, which holds where config.json lacks the field. transformers' models/mistral.
#include "models/Decoder.h"
#include "models/Families.h"

namespace llmc::models {

static llvm::Expected<ImportedModel> importMistral(mlir::MLIRContext &context, const nlohmann::json &config) {
  ConfigReader reader(config);
  DecoderDefaults defaults;
  defaults.intermediate = 14336;
  defaults.maxPositions = 4096 * 32;
  defaults.kvHeads = 8;
  Decoder decoder = readDecoder(reader, defaults);
  int64_t window = reader.isNull("sliding_window") ? 0 : reader.integer("sliding_window", 1, Limits::positions, 4096);
  if (llvm::Error error = reader.takeError())
    return error;
  decoder.windows.assign(decoder.facts.layers, window);
  return buildDecoder(context, decoder);
}

Family mistralFamily() {
  return {"mistral",
          {"mistral"},
          {"MistralForCausalLM"},
          "grouped-query attention, sliding window (a number or null), head_dim, tied or untied head, rope scaling "
          "linear, dynamic, llama3, yarn",
          importMistral};
}

} // namespace llmc::models
