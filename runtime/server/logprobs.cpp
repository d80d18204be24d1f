#include "runtime/server/generation.h"

namespace llmrt::server {

// The text of one id alone; part of a character shows as U+FFFD.
static std::string text_of(const Model &model, int32_t id) {
  if (!model.tokenizer)
    return "token_id:" + std::to_string(id);
  Result<std::string> text = model.tokenizer->decode({&id, 1}, false);
  return text.ok() ? *text : std::string();
}

static Json bytes_of(const std::string &text) {
  Json out = Json::array();
  for (char c : text)
    out.push_back(static_cast<unsigned char>(c));
  return out;
}

static Json chat_entry(const Model &model, int32_t id, float logprob) {
  std::string text = text_of(model, id);
  Json bytes = bytes_of(text);
  return Json{{"token", std::move(text)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

Json chat_logprobs(const Model &model, const std::vector<NewToken> &tokens) {
  Json content = Json::array();
  for (const NewToken &token : tokens) {
    Json entry = chat_entry(model, token.id, token.logprob);
    Json top = Json::array();
    for (const TokenLogprob &other : token.top)
      top.push_back(chat_entry(model, other.id, other.logprob));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return Json{{"content", std::move(content)}};
}

Json completion_logprobs(const Model &model, const std::vector<NewToken> &tokens, size_t text_offset) {
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const NewToken &token : tokens) {
    std::string text = text_of(model, token.id);
    offsets.push_back(text_offset);
    text_offset += text.size();
    Json top = Json::object();
    for (const TokenLogprob &other : token.top)
      top[text_of(model, other.id)] = other.logprob;
    top[text] = token.logprob; // the chosen one is always there
    texts.push_back(std::move(text));
    logprobs.push_back(token.logprob);
    tops.push_back(std::move(top));
  }
  Json out;
  out["text_offset"] = std::move(offsets);
  out["token_logprobs"] = std::move(logprobs);
  out["tokens"] = std::move(texts);
  out["top_logprobs"] = std::move(tops);
  return out;
}

} // namespace llmrt::server
