// Llama (1 to 3.3) and everything that uses its class: grouped-query attention, tied and untied heads, head_dim apart,
// attention and MLP biases, all rope scalings. transformers' models/llama; sliding_window and layer_types mean nothing
// there, and pretraining_tp only splits the same products.
#include "models/Decoder.h"
#include "models/Families.h"

namespace llmc::models {

static llvm::Expected<ImportedModel> importLlama(mlir::MLIRContext &context, const nlohmann::json &config) {
  ConfigReader reader(config);
  Decoder decoder = readDecoder(reader, {});
  bool bias = reader.boolean("attention_bias", false);
  decoder.queryKeyValueBias = decoder.outputBias = bias;
  decoder.mlpBias = reader.boolean("mlp_bias", false);
  if (llvm::Error error = reader.takeError())
    return error;
  return buildDecoder(context, decoder);
}

Family llamaFamily() {
  return {"llama",
          {"llama"},
          {"LlamaForCausalLM"},
          "grouped-query attention, tied or untied head, head_dim, attention_bias, mlp_bias, rope scaling linear, "
          "dynamic, llama3, yarn",
          importLlama};
}

} // namespace llmc::models
