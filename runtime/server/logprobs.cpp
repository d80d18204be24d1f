#include "runtime/server/generation.h"

#include <cmath>

namespace llmrt::server {

// The text of one id alone; part of a character shows as U+FFFD.
std::string text_of_token(const Model &model, int32_t id) {
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
  std::string text = text_of_token(model, id);
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

Json completion_logprobs(const Model &model, const Delta &delta) {
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  size_t text_offset = delta.text_offset;
  auto add = [&](const NewToken &token) {
    std::string text = text_of_token(model, token.id);
    offsets.push_back(text_offset);
    text_offset += text.size();
    Json top = Json::object();
    for (const TokenLogprob &other : token.top)
      top[text_of_token(model, other.id)] = other.logprob;
    top[text] = token.logprob; // the chosen one is always there
    const bool known = !std::isnan(token.logprob);
    texts.push_back(std::move(text));
    logprobs.push_back(known ? Json(token.logprob) : Json(nullptr));
    tops.push_back(known ? std::move(top) : Json(nullptr));
  };
  for (const NewToken &token : delta.prompt)
    add(token);
  for (const NewToken &token : delta.tokens)
    add(token);
  Json out;
  out["text_offset"] = std::move(offsets);
  out["token_logprobs"] = std::move(logprobs);
  out["tokens"] = std::move(texts);
  out["top_logprobs"] = std::move(tops);
  return out;
}

Json prompt_logprobs_json(const Model &model, const std::vector<NewToken> &scored) {
  Json out = Json::array({nullptr}); // nothing says how likely the first token was
  for (const NewToken &token : scored) {
    Json entry = Json::object();
    auto add = [&](int32_t id, float logprob, int64_t rank) {
      entry[std::to_string(id)] =
          Json{{"logprob", logprob}, {"rank", rank}, {"decoded_token", text_of_token(model, id)}};
    };
    add(token.id, token.logprob, token.rank);
    for (size_t i = 0; i < token.top.size(); ++i)
      if (token.top[i].id != token.id)
        add(token.top[i].id, token.top[i].logprob, static_cast<int64_t>(i) + 1);
    out.push_back(std::move(entry));
  }
  return out;
}

} // namespace llmrt::server
