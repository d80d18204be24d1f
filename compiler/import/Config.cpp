#include "compiler/import/Config.h"
#include "compiler/import/Json.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>

namespace llmc {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxTemplateBytes = 4ull << 20;
constexpr const char *kSpecialTokenNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                              "pad_token", "cls_token", "mask_token"};

std::string pathIn(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

void addTemplate(llvm::StringRef name, std::string text, Checkpoint &checkpoint) {
  if (name == "default") checkpoint.chatTemplate = std::move(text);
  else checkpoint.namedChatTemplates.emplace_back(name.str(), std::move(text));
}

llvm::Error addNamedTemplate(const json &name, const json &text, llvm::StringRef what, Checkpoint &checkpoint) {
  if (!name.is_string() || !text.is_string())
    return importError(what, "an entry of chat_template must have the strings 'name' and 'template'");
  addTemplate(name.get_ref<const std::string &>(), text.get_ref<const std::string &>(), checkpoint);
  return llvm::Error::success();
}

// chat_template.jinja and additional_chat_templates/NAME.jinja, which win over tokenizer_config.json.
llvm::Error readTemplateFiles(llvm::StringRef folder, Checkpoint &checkpoint) {
  auto text = readTextFile(pathIn(folder, "chat_template.jinja"), kMaxTemplateBytes);
  if (!text) return text.takeError();
  std::error_code error;
  std::vector<std::string> others;
  for (llvm::sys::fs::directory_iterator it(pathIn(folder, "additional_chat_templates"), error), end;
       !error && it != end; it.increment(error))
    if (llvm::sys::path::extension(it->path()) == ".jinja") others.push_back(it->path());
  if (!*text && others.empty()) return llvm::Error::success();

  checkpoint.namedChatTemplates.clear();
  if (*text) checkpoint.chatTemplate = std::move(**text);
  std::sort(others.begin(), others.end()); // a folder's order is not the same everywhere
  for (const std::string &path : others) {
    auto other = readTextFile(path, kMaxTemplateBytes);
    if (!other) return other.takeError();
    if (*other) addTemplate(llvm::sys::path::stem(path), std::move(**other), checkpoint);
  }
  return llvm::Error::success();
}

// The older file says what tokenizer_config.json leaves out.
llvm::Error mergeSpecialTokensMap(llvm::StringRef folder, json &tokenizerConfig) {
  auto map = readJsonObject(pathIn(folder, "special_tokens_map.json"), kMaxConfigBytes);
  if (!map) return map.takeError();
  if (map->is_null()) return llvm::Error::success();
  if (tokenizerConfig.is_null()) tokenizerConfig = json::object();
  for (auto entry = map->begin(); entry != map->end(); ++entry) {
    auto known = tokenizerConfig.find(entry.key());
    if (known == tokenizerConfig.end()) tokenizerConfig[entry.key()] = entry.value();
  }
  return llvm::Error::success();
}

// A token is a string or an added token's object; null where it is neither.
json tokenText(const json &token) {
  if (token.is_string()) return token;
  if (!token.is_object()) return json();
  auto content = token.find("content");
  return content != token.end() && content->is_string() ? *content : json();
}

} // namespace

llvm::Error takeChatTemplates(const json &tokenizerConfig, llvm::StringRef what, Checkpoint &checkpoint) {
  if (!tokenizerConfig.is_object()) return llvm::Error::success();
  auto found = tokenizerConfig.find("chat_template");
  if (found == tokenizerConfig.end() || found->is_null()) return llvm::Error::success();
  if (found->is_string()) {
    checkpoint.chatTemplate = found->get_ref<const std::string &>();
    return llvm::Error::success();
  }
  if (found->is_object()) {
    for (auto entry = found->begin(); entry != found->end(); ++entry)
      if (llvm::Error error = addNamedTemplate(entry.key(), entry.value(), what, checkpoint)) return error;
    return llvm::Error::success();
  }
  if (!found->is_array()) return importError(what, "chat_template must be a string or a list of named templates");
  for (const json &entry : *found) {
    json name = entry.is_object() ? entry.value("name", json()) : json();
    json text = entry.is_object() ? entry.value("template", json()) : json();
    if (llvm::Error error = addNamedTemplate(name, text, what, checkpoint)) return error;
  }
  return llvm::Error::success();
}

json specialTokens(const Checkpoint &checkpoint) {
  json result = json::object();
  const json &config = checkpoint.tokenizerConfig;
  if (!config.is_object()) return result;
  for (const char *name : kSpecialTokenNames)
    if (auto token = config.find(name); token != config.end())
      if (json text = tokenText(*token); !text.is_null()) result[name] = std::move(text);
  for (const char *name : {"additional_special_tokens", "extra_special_tokens"}) {
    auto list = config.find(name);
    if (list == config.end()) continue;
    if (list->is_array()) {
      json texts = json::array();
      for (const json &token : *list)
        if (json text = tokenText(token); !text.is_null()) texts.push_back(std::move(text));
      if (!texts.empty()) result["additional_special_tokens"] = std::move(texts);
    } else if (list->is_object()) { // named ones of the model's own, such as image_token
      for (auto token = list->begin(); token != list->end(); ++token)
        if (json text = tokenText(token.value()); !text.is_null()) result[token.key()] = std::move(text);
    }
  }
  return result;
}

llvm::Error readModelFiles(llvm::StringRef configPath, llvm::StringRef folder, Checkpoint &checkpoint) {
  const std::pair<std::string, json *> objects[] = {
      {configPath.str(), &checkpoint.config},
      {pathIn(folder, "generation_config.json"), &checkpoint.generationConfig},
      {pathIn(folder, "tokenizer_config.json"), &checkpoint.tokenizerConfig},
  };
  for (const auto &[path, object] : objects) {
    auto value = readJsonObject(path, kMaxConfigBytes);
    if (!value) return value.takeError();
    *object = std::move(*value);
  }
  if (checkpoint.config.is_null())
    return importError(configPath, "no such file; a model's config.json must stand beside its weights");
  if (llvm::Error error = takeChatTemplates(checkpoint.tokenizerConfig, objects[2].first, checkpoint)) return error;
  if (llvm::Error error = readTemplateFiles(folder, checkpoint)) return error;
  if (llvm::Error error = mergeSpecialTokensMap(folder, checkpoint.tokenizerConfig)) return error;
  auto tokenizer = readTextFile(pathIn(folder, "tokenizer.json"), kMaxTokenizerBytes);
  if (!tokenizer) return tokenizer.takeError();
  checkpoint.tokenizerJson = std::move(*tokenizer);
  return llvm::Error::success();
}

} // namespace llmc
