#include "models/CommonConfig.h"

namespace llmc::models {

void checkUnsupported(ConfigReader &reader) {
  for (const char *field : {"quantization_config", "compression_config"})
    if (reader.has(field))
      reader.refuse(field, "checkpoints that are quantized already are not supported; take the unquantized one and "
                           "quantize it with --quantization");
  reader.onlySupports("is_causal", true, "only causal models are supported");
  reader.onlySupports("use_bidirectional_attention", false, "only causal models are supported");
  reader.onlySupports("add_cross_attention", false, "cross attention is not supported");
  reader.onlySupports("is_encoder_decoder", false, "encoder-decoder models are not supported");
  // In effect for some rope types and ignored for others by these families in transformers: never guessed here.
  reader.onlySupports("partial_rotary_factor", 1.0, "these families turn whole heads (1.0)");
}

std::string readDtype(ConfigReader &reader) {
  const char *field = reader.has("dtype") ? "dtype" : "torch_dtype";
  return reader.choice(field, {"float32", "bfloat16", "float16"}, "float32");
}

llm::ActivationKind readActivation(ConfigReader &reader, llvm::StringRef field, llvm::StringRef fallback) {
  using llm::ActivationKind;
  static constexpr std::pair<llvm::StringLiteral, ActivationKind> table[] = {
      {"silu", ActivationKind::Silu},
      {"swish", ActivationKind::Silu},
      {"gelu", ActivationKind::Gelu},
      {"gelu_python", ActivationKind::Gelu},
      {"gelu_new", ActivationKind::GeluTanh},
      {"gelu_fast", ActivationKind::GeluTanh},
      {"gelu_accurate", ActivationKind::GeluTanh},
      {"gelu_pytorch_tanh", ActivationKind::GeluTanh},
      {"gelu_python_tanh", ActivationKind::GeluTanh},
      {"quick_gelu", ActivationKind::QuickGelu},
      {"relu", ActivationKind::Relu},
      {"relu2", ActivationKind::Relu2},
      {"tanh", ActivationKind::Tanh},
      {"sigmoid", ActivationKind::Sigmoid},
  };
  std::vector<llvm::StringRef> names;
  for (const auto &[name, kind] : table)
    names.push_back(name);
  std::string chosen = reader.choice(field, names, fallback);
  for (const auto &[name, kind] : table)
    if (name == chosen)
      return kind;
  return ActivationKind::Silu;
}

} // namespace llmc::models
