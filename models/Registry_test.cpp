#include "models/Registry.h"

#include "dialects/llm/Llm.h"
#include "models/Logarithm.h"

#include "llvm/Support/MemoryBuffer.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace llmc;
using nlohmann::json;
using testing::HasSubstr;

json llama() {
  return json::parse(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 97,
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "torch_dtype": "bfloat16"})");
}

json qwen2() {
  json config = llama();
  config["model_type"] = "qwen2";
  config["architectures"] = {"Qwen2ForCausalLM"};
  return config;
}

struct Import {
  explicit Import(const json &config) {
    llvm::Expected<models::ImportedModel> imported = models::importModel(context, config);
    if (imported)
      model = std::move(*imported);
    else
      error = llvm::toString(imported.takeError());
  }
  template <typename Op> std::vector<Op> all() {
    std::vector<Op> ops;
    model.module->walk([&](Op op) { ops.push_back(op); });
    return ops;
  }
  llm::RopeAttr rope() { return all<llm::RopeOp>().at(0).getRope(); }
  template <typename Attr> Attr attribute(const char *name) { return (*model.module)->getAttrOfType<Attr>(name); }

  mlir::MLIRContext context;
  models::ImportedModel model;
  std::string error;
};

TEST(Registry, NamesAreUnique) {
  std::vector<std::string> types;
  for (const models::Family &family : models::families())
    types.insert(types.end(), family.modelTypes.begin(), family.modelTypes.end());
  EXPECT_EQ(types.size(), std::set<std::string>(types.begin(), types.end()).size());
  EXPECT_THAT(types, testing::ElementsAre("llama", "mistral", "qwen2", "qwen3", "gpt2"));
}

TEST(Registry, LlamaIsWhatItsConfigSays) {
  Import import(llama());
  ASSERT_EQ(import.error, "");
  EXPECT_EQ(import.model.tensors.size(), 2u * 9 + 3);
  EXPECT_EQ(import.all<llm::LinearOp>().size(), 2u * 7 + 1);
  EXPECT_EQ(import.all<llm::AttentionOp>().size(), 2u);
  EXPECT_EQ(import.all<llm::AttentionOp>()[1].getLayer(), 1);
  EXPECT_EQ(import.attribute<mlir::StringAttr>("llm.family").getValue(), "llama");
  EXPECT_EQ(import.attribute<mlir::StringAttr>("llm.dtype").getValue(), "bfloat16");
  EXPECT_EQ(import.attribute<mlir::IntegerAttr>("llm.vocabulary").getInt(), 97);
  EXPECT_EQ(import.attribute<mlir::IntegerAttr>("llm.max_positions").getInt(), 64);
  EXPECT_EQ(import.attribute<mlir::IntegerAttr>("llm.layers").getInt(), 2);
  EXPECT_FALSE(import.attribute<mlir::BoolAttr>("llm.positions_are_bounded").getValue());
  EXPECT_FALSE(import.attribute<mlir::BoolAttr>("llm.uses_rope_length").getValue());
  for (llm::WeightOp weight : import.all<llm::WeightOp>())
    EXPECT_TRUE(weight.getElement().isBF16());
}

TEST(Registry, TiedHeadIsOneWeight) {
  json config = llama();
  config["tie_word_embeddings"] = true;
  Import import(config);
  EXPECT_EQ(import.model.tensors.size(), 2u * 9 + 2);
  EXPECT_EQ(import.all<llm::LinearOp>().back().getWeight(), import.all<llm::EmbedOp>()[0].getTable());
}

TEST(Registry, BothSpellingsGiveTheSameModule) {
  json scaling = {{"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0},
                  {"original_max_position_embeddings", 32}};
  auto print = [](const json &config) {
    Import import(config);
    std::string text = import.error;
    llvm::raw_string_ostream stream(text);
    if (import.model.module)
      import.model.module->print(stream);
    return text;
  };
  json old = llama(), older = llama(), recent = llama();
  old["rope_theta"] = older["rope_theta"] = 500000.0;
  old["rope_scaling"] = older["rope_scaling"] = recent["rope_parameters"] = scaling;
  old["rope_scaling"]["rope_type"] = older["rope_scaling"]["type"] = recent["rope_parameters"]["rope_type"] = "llama3";
  recent["rope_parameters"]["rope_theta"] = 500000.0;
  recent["dtype"] = recent["torch_dtype"];
  recent.erase("torch_dtype");
  EXPECT_THAT(print(old), HasSubstr("llama3"));
  EXPECT_EQ(print(old), print(older));
  EXPECT_EQ(print(old), print(recent));
}

TEST(Registry, ThetaInsideWinsOverThetaOutside) {
  json config = llama();
  config["rope_theta"] = 20000;
  EXPECT_EQ(Import(config).rope().getBase(), 20000.0);
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 30000}};
  EXPECT_EQ(Import(config).rope().getBase(), 30000.0);
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  EXPECT_EQ(Import(config).rope().getBase(), 20000.0);
  EXPECT_EQ(Import(config).rope().getScaling(), "linear");
}

TEST(Registry, YarnInfersWhatIsMissing) {
  json config = llama();
  config["rope_scaling"] = {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 16}};
  Import plain(config);
  EXPECT_NEAR(plain.rope().getAttentionFactor(), 0.1 * std::log(4.0) + 1, 1e-15);
  EXPECT_EQ(plain.rope().getOriginal(), 16);
  EXPECT_TRUE(plain.rope().getTruncate());
  config["rope_scaling"]["factor"] = nullptr;
  EXPECT_EQ(Import(config).rope().getFactor(), 4.0);
  config["rope_scaling"]["attention_factor"] = 1.5;
  config["rope_scaling"]["truncate"] = nullptr;
  config["original_max_position_embeddings"] = 8;
  Import given(config);
  EXPECT_EQ(given.rope().getAttentionFactor(), 1.5);
  EXPECT_FALSE(given.rope().getTruncate());
  EXPECT_EQ(given.rope().getOriginal(), 8);
}

TEST(Registry, DynamicRopeFollowsTheRequest) {
  json config = llama();
  config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2}, {"original_max_position_embeddings", 16}};
  Import import(config);
  EXPECT_TRUE(import.attribute<mlir::BoolAttr>("llm.uses_rope_length").getValue());
  EXPECT_EQ(import.rope().getOriginal(), 64);
}

std::vector<int64_t> windows(const json &config) {
  Import import(config);
  EXPECT_EQ(import.error, "");
  std::vector<int64_t> result;
  for (llm::AttentionOp op : import.all<llm::AttentionOp>())
    result.push_back(op.getWindow());
  return result;
}

TEST(Registry, WindowsByFamily) {
  json config = llama();
  config["sliding_window"] = 5; // transformers' Llama has none
  EXPECT_EQ(windows(config), (std::vector<int64_t>{0, 0}));
  config["model_type"] = "mistral";
  config["architectures"] = {"MistralForCausalLM"};
  EXPECT_EQ(windows(config), (std::vector<int64_t>{5, 5}));
  config["sliding_window"] = nullptr;
  EXPECT_EQ(windows(config), (std::vector<int64_t>{0, 0}));
  config.erase("sliding_window");
  EXPECT_EQ(windows(config), (std::vector<int64_t>{4096, 4096}));

  config = qwen2();
  config.update({{"sliding_window", 7}, {"max_window_layers", 1}});
  EXPECT_EQ(windows(config), (std::vector<int64_t>{0, 0}));
  config["use_sliding_window"] = true;
  EXPECT_EQ(windows(config), (std::vector<int64_t>{0, 7}));
  config["layer_types"] = {"sliding_attention", "attention"};
  EXPECT_EQ(windows(config), (std::vector<int64_t>{7, 0}));
}

TEST(Registry, Gpt2ReadsBothNames) {
  json config = {{"model_type", "gpt2"}, {"vocab_size", 11}, {"n_embd", 24}, {"num_attention_heads", 3},
                 {"n_layer", 2}, {"max_position_embeddings", 9}, {"scale_attn_by_inverse_layer_idx", true}};
  Import import(config);
  ASSERT_EQ(import.error, "");
  EXPECT_TRUE(import.attribute<mlir::BoolAttr>("llm.positions_are_bounded").getValue());
  EXPECT_EQ(import.attribute<mlir::IntegerAttr>("llm.max_positions").getInt(), 9);
  auto attention = import.all<llm::AttentionOp>();
  EXPECT_DOUBLE_EQ(attention[1].getScale().convertToDouble(), 1 / std::sqrt(8.0) / 2);
  EXPECT_EQ(import.model.tensors[5].name, "transformer.h.0.attn.c_attn.bias");
  EXPECT_EQ(import.model.tensors[4].shape, (std::vector<int64_t>{24, 72}));
}

// (change to the config, what the error must say)
TEST(Registry, ErrorsNameFieldValueAndChoice) {
  const std::vector<std::pair<json, std::string>> cases = {
      {{{"model_type", "bert"}}, "\"model_type\" is \"bert\"; supported are llama, mistral, qwen2, qwen3, gpt2"},
      {{{"model_type", 3}}, "\"model_type\" is 3"},
      {{{"architectures", {"LlamaForSequenceClassification"}}}, "only LlamaForCausalLM is supported"},
      {{{"architectures", "LlamaForCausalLM"}}, "it must be a list"},
      {{{"hidden_size", "big"}}, "\"hidden_size\" is \"big\"; it must be an integer from 1 to 1048576"},
      {{{"hidden_size", 1e18}}, "\"hidden_size\" is 1e+18"},
      {{{"hidden_size", 1000000000000000000}}, "\"hidden_size\" is 1000000000000000000"},
      {{{"hidden_size", 18446744073709551615u}}, "\"hidden_size\" is 18446744073709551615"},
      {{{"hidden_size", 32.5}}, "\"hidden_size\" is 32.5"},
      {{{"hidden_size", 31}}, "\"num_attention_heads\" is 4; it must divide hidden_size (31)"},
      {{{"num_hidden_layers", 1000000000}}, "\"num_hidden_layers\""},
      {{{"num_hidden_layers", 0}}, "\"num_hidden_layers\" is 0"},
      {{{"num_hidden_layers", -3}}, "\"num_hidden_layers\" is -3"},
      {{{"num_key_value_heads", 3}}, "it must divide num_attention_heads (4)"},
      {{{"head_dim", 7}}, "even number"},
      {{{"head_dim", 1000000}}, "\"head_dim\" is 1000000"},
      {{{"num_attention_heads", 16384}, {"head_dim", 4096}, {"num_key_value_heads", 1}}, "heads x head_dim"},
      {{{"vocab_size", true}}, "\"vocab_size\" is true"},
      {{{"rms_norm_eps", -1e-5}}, "\"rms_norm_eps\" is -1e-05"},
      {{{"rms_norm_eps", "1e-5"}}, "\"rms_norm_eps\" is \"1e-5\"; it must be a number"},
      {{{"hidden_act", "mish"}}, "\"hidden_act\" is \"mish\"; supported are silu, swish, gelu"},
      {{{"hidden_act", json::array()}}, "\"hidden_act\" is a list of 0"},
      {{{"attention_bias", 1}}, "\"attention_bias\" is 1; it must be true or false"},
      {{{"torch_dtype", "float64"}}, "\"torch_dtype\" is \"float64\"; supported are float32, bfloat16, float16"},
      {{{"dtype", "int8"}}, "\"dtype\" is \"int8\""},
      {{{"quantization_config", {{"quant_method", "gptq"}}}}, "\"quantization_config\" is an object"},
      {{{"partial_rotary_factor", 0.5}}, "\"partial_rotary_factor\" is 0.5"},
      {{{"is_causal", false}}, "\"is_causal\" is false"},
      {{{"rope_theta", 0}}, "\"rope_theta\" is 0"},
      {{{"rope_scaling", "linear"}}, "\"rope_scaling\" is \"linear\"; it must be an object or null"},
      {{{"rope_scaling", {{"type", "longrope"}}}}, "\"rope_scaling.type\" is \"longrope\"; supported are default"},
      {{{"rope_scaling", {{"type", "linear"}}}}, "\"rope_scaling.factor\" is missing"},
      {{{"rope_scaling", {{"type", "linear"}, {"factor", -2}}}}, "\"rope_scaling.factor\" is -2"},
      {{{"rope_parameters", {{"rope_type", "llama3"}, {"factor", 2}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}},
       "\"rope_parameters.high_freq_factor\" is 4; it must be greater"},
      {{{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}}, "parameters by layer type"},
      {{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}, {"head_dim", 2}}, "4 or more"},
  };
  for (const auto &[change, expected] : cases) {
    json config = llama();
    config.update(change);
    Import import(config);
    EXPECT_THAT(import.error, HasSubstr(expected)) << change;
    EXPECT_THAT(import.error, HasSubstr("config.json"));
    EXPECT_FALSE(import.model.module);
  }
}

TEST(Registry, WholeFileMustBeAnObject) {
  for (const char *text : {"null", "[]", "3", "\"llama\"", "{}"})
    EXPECT_THAT(Import(json::parse(text)).error, HasSubstr("config.json")) << text;
}

TEST(Registry, LayerTypesMustFit) {
  json config = qwen2();
  config["layer_types"] = {"full_attention"};
  EXPECT_THAT(Import(config).error, HasSubstr("it must be a list of 2"));
  config["layer_types"] = {"full_attention", "chunked_attention"};
  EXPECT_THAT(Import(config).error, HasSubstr("full_attention, sliding_attention"));
  config["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_THAT(Import(config).error, HasSubstr("use_sliding_window"));
}

json readJson(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(LLMC_SOURCE_DIR "/" + path);
  EXPECT_TRUE(bool(buffer)) << path;
  return json::parse(buffer ? (*buffer)->getBuffer().str() : "null");
}

TEST(Zoo, EveryModelIsThereAndImports) {
  std::set<std::string> names, families;
  json zoo = readJson("models/zoo.json");
  for (const json &entry : zoo["models"]) {
    std::string path = entry["model"];
    bool isConfig = llvm::StringRef(path).ends_with(".json");
    EXPECT_EQ(isConfig, entry.contains("weights")) << path;
    EXPECT_FALSE(entry["quantization"].empty()) << path;
    Import import(readJson(isConfig ? path : path + "/config.json"));
    ASSERT_EQ(import.error, "") << path;
    names.insert(entry["name"]);
    families.insert(import.attribute<mlir::StringAttr>("llm.family").str());
  }
  EXPECT_EQ(names.size(), zoo["models"].size());
  EXPECT_EQ(families.size(), models::families().size());
}

TEST(Logarithm, IsExactToAFewUlp) {
  for (double x = 1e-6; x < 1e15; x *= 1.37)
    EXPECT_NEAR(models::logarithm(x), std::log(x), 4e-16 * std::max(1.0, std::fabs(std::log(x)))) << x;
}

} // namespace
