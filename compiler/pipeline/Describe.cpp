#include "compiler/pipeline/Describe.h"

#include "compiler/import/Json.h"
#include "runtime/text/chat_template.h"
#include "llvm/ADT/STLExtras.h"

namespace llmc {

using nlohmann::json;

static std::string stringAttribute(mlir::ModuleOp module, llvm::StringRef name) {
  auto attribute = module->getAttrOfType<mlir::StringAttr>(name);
  return attribute ? attribute.getValue().str() : "";
}
static int64_t integerAttribute(mlir::ModuleOp module, llvm::StringRef name) {
  auto attribute = module->getAttrOfType<mlir::IntegerAttr>(name);
  return attribute ? attribute.getInt() : 0;
}
static bool flagAttribute(mlir::ModuleOp module, llvm::StringRef name) {
  auto attribute = module->getAttrOfType<mlir::BoolAttr>(name);
  return attribute && attribute.getValue();
}

std::string effectiveDtype(const CompileOptions &options, mlir::ModuleOp module) {
  return options.dtype.empty() ? stringAttribute(module, "llm.dtype") : options.dtype;
}

std::string effectiveKvElement(const CompileOptions &options, mlir::ModuleOp module) {
  if (!options.kvCacheDtype.empty()) return options.kvCacheDtype;
  return effectiveDtype(options, module) == "float32" ? "f32" : "bf16";
}

std::string effectiveActivations(const CompileOptions &options, bool gpus) {
  const std::string &asked = gpus ? options.gpuActivations : options.activations;
  return options.quantization != "none" || asked == "bf16" ? asked : "float";
}

// ---- ids -------------------------------------------------------------------------------------------------------------

// An id, or a list of them, under `key`; ids outside the vocabulary are left out (padded configs have them).
static std::vector<int32_t> idsOf(const json &object, const char *key, int64_t vocabulary) {
  std::vector<int32_t> ids;
  auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) return ids;
  auto take = [&](const json &value) {
    if (!value.is_number_integer()) return;
    int64_t id = value.is_number_unsigned() && value.get<uint64_t>() > INT32_MAX ? -1 : value.get<int64_t>();
    if (id >= 0 && id < vocabulary && !llvm::is_contained(ids, int32_t(id))) ids.push_back(int32_t(id));
  };
  if (found->is_array())
    for (const json &value : *found) take(value);
  else
    take(*found);
  return ids;
}

static std::optional<int32_t> firstId(const Checkpoint &checkpoint, const char *key, int64_t vocabulary) {
  for (const json *object : {&checkpoint.generationConfig, &checkpoint.config})
    if (auto ids = idsOf(*object, key, vocabulary); !ids.empty()) return ids.front();
  return std::nullopt;
}

// The id of a token that tokenizer_config.json names, by tokenizer.json's added tokens.
static std::optional<int32_t> addedTokenId(const Checkpoint &checkpoint, const char *key, int64_t vocabulary) {
  if (!checkpoint.tokenizerJson || !checkpoint.tokenizerConfig.is_object()) return std::nullopt;
  auto token = checkpoint.tokenizerConfig.find(key);
  if (token == checkpoint.tokenizerConfig.end()) return std::nullopt;
  const json *content = token->is_object() && token->contains("content") ? &(*token)["content"] : &*token;
  if (!content->is_string()) return std::nullopt;
  auto tokenizer = parseJsonObject(*checkpoint.tokenizerJson, "tokenizer.json");
  if (!tokenizer) {
    llvm::consumeError(tokenizer.takeError()); // the tokenizer's own import says what is wrong
    return std::nullopt;
  }
  auto added = tokenizer->find("added_tokens");
  if (added == tokenizer->end() || !added->is_array()) return std::nullopt;
  for (const json &entry : *added)
    if (entry.is_object() && entry.value("content", json()) == *content)
      if (auto ids = idsOf(entry, "id", vocabulary); !ids.empty()) return ids.front();
  return std::nullopt;
}

// As vLLM: generation_config's end ids (else the config's), and the tokenizer's end token.
static std::vector<int32_t> endIds(const Checkpoint &checkpoint, int64_t vocabulary) {
  std::vector<int32_t> ids = idsOf(checkpoint.generationConfig, "eos_token_id", vocabulary);
  if (ids.empty()) ids = idsOf(checkpoint.config, "eos_token_id", vocabulary);
  auto end = addedTokenId(checkpoint, "eos_token", vocabulary);
  if (end && !llvm::is_contained(ids, *end)) ids.push_back(*end);
  return ids;
}

// ---- sampling --------------------------------------------------------------------------------------------------------

// A number of generation_config.json in [low, high]; what is outside, or not a number, is as if it were not there.
static double numberOf(const json &object, const char *key, double low, double high, double otherwise) {
  auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number()) return otherwise;
  double value = found->get<double>();
  return value >= low && value <= high ? value : otherwise;
}

static GenerationDefaults generationDefaults(const Checkpoint &checkpoint, int64_t vocabulary) {
  const json &g = checkpoint.generationConfig;
  GenerationDefaults defaults;
  auto sample = g.is_object() ? g.find("do_sample") : g.end();
  defaults.doSample = g.is_object() && sample != g.end() && sample->is_boolean() && sample->get<bool>();
  defaults.temperature = float(numberOf(g, "temperature", 0, 100, 1));
  defaults.topP = float(numberOf(g, "top_p", 1e-6, 1, 1));
  defaults.minP = float(numberOf(g, "min_p", 0, 1, 0));
  defaults.repetitionPenalty = float(numberOf(g, "repetition_penalty", 1e-3, 1e3, 1));
  double topK = numberOf(g, "top_k", 0, INT32_MAX, 0);
  defaults.topK = topK >= 1 ? int32_t(topK) : -1;
  defaults.endIds = endIds(checkpoint, vocabulary);
  return defaults;
}

// ---- the model -------------------------------------------------------------------------------------------------------

static std::string modelName(const Checkpoint &checkpoint, llvm::StringRef family) {
  // Never the folder's name: the same model gives the same bytes wherever it stands.
  auto found = checkpoint.config.find("architectures");
  if (found != checkpoint.config.end() && found->is_array() && !found->empty() && found->front().is_string())
    return found->front().get<std::string>();
  return family.str();
}

llvm::Expected<ModelInfo> describeModel(const CompileOptions &options, const Checkpoint &checkpoint,
                                        const models::ImportedModel &imported) {
  mlir::ModuleOp module = *imported.module;
  ModelInfo model;
  int64_t vocabulary = integerAttribute(module, "llm.vocabulary");
  model.family = stringAttribute(module, "llm.family");
  model.name = modelName(checkpoint, model.family);
  model.vocabulary = uint32_t(vocabulary);
  model.maxPositions = uint64_t(integerAttribute(module, "llm.max_positions"));
  model.positionsAreBounded = flagAttribute(module, "llm.positions_are_bounded");
  model.usesRopeLength = flagAttribute(module, "llm.uses_rope_length");
  for (const models::TensorSpec &tensor : imported.tensors) {
    uint64_t count = 1;
    for (int64_t size : tensor.shape) count *= uint64_t(size);
    model.parameters += count;
  }
  model.dtype = effectiveDtype(options, module);
  model.quantization = options.quantization;
  model.activations = effectiveActivations(options, options.hasGpu() && !options.hasBoth()); // of the first program
  model.kvCacheDtype = effectiveKvElement(options, module);
  auto beginId = firstId(checkpoint, "bos_token_id", vocabulary);
  if (!beginId) beginId = addedTokenId(checkpoint, "bos_token", vocabulary);
  model.beginId = beginId.value_or(-1);
  model.padId = firstId(checkpoint, "pad_token_id", vocabulary).value_or(-1);
  model.generation = generationDefaults(checkpoint, vocabulary);
  model.defaultMaxModelLen = options.maxModelLen ? options.maxModelLen : model.maxPositions;
  model.defaultMaxNumBatchedTokens = options.maxNumBatchedTokens;
  model.defaultMaxNumSeqs = options.maxNumSeqs;
  if (model.positionsAreBounded && model.defaultMaxModelLen > model.maxPositions)
    return llvm::createStringError("--max-model-len " + llvm::Twine(options.maxModelLen) + ": the model has only " +
                                   llvm::Twine(model.maxPositions) + " positions");
  return model;
}

std::vector<std::pair<std::string, std::string>> parsedChatTemplates(const Checkpoint &checkpoint, Progress &progress) {
  std::vector<std::pair<std::string, std::string>> all, parsed;
  if (checkpoint.chatTemplate) all.emplace_back("default", *checkpoint.chatTemplate);
  for (const auto &named : checkpoint.namedChatTemplates)
    if (named.first != "default" || !checkpoint.chatTemplate) all.push_back(named);
  for (auto &[name, source] : all) {
    auto result = llmrt::ChatTemplate::parse(source);
    if (result.ok()) {
      parsed.emplace_back(name, source);
      continue;
    }
    progress.warn("the chat template \"" + name + "\" is left out of the artifact: " + result.status().message() +
                  "; chat needs another one then (llmrt serve --chat-template)");
  }
  return parsed;
}

} // namespace llmc
