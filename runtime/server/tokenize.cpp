// POST /tokenize, /detokenize, /apply-template: vLLM's bodies and llama.cpp's.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation_params.h"

namespace llmrt::server {

namespace {

constexpr size_t kMaxIds = 1 << 20;

Json token_texts(const Model &model, const std::vector<int32_t> &ids) {
  Json out = Json::array();
  for (int32_t id : ids) {
    Result<std::string> text = model.tokenizer->token_text(id);
    out.push_back(text.ok() ? *text : std::string());
  }
  return out;
}

// llama.cpp: {"content", "add_special", "parse_special", "with_pieces"} -> {"tokens"}
Json tokenize_llama(FieldReader &fields, const Model &model) {
  std::string text = fields.string("content").value_or("");
  bool add_special = fields.boolean("add_special").value_or(false);
  bool pieces = fields.boolean("with_pieces").value_or(false);
  fields.refuse_unless("parse_special", true);
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(text, add_special);
  if (!ids.ok()) {
    fields.fail("content", ids.status().message());
    return nullptr;
  }
  Json tokens = *ids;
  for (size_t i = 0; pieces && i < ids->size(); ++i) {
    Result<std::string> piece = model.tokenizer->decode({&(*ids)[i], 1}, false);
    tokens[i] = Json{{"id", (*ids)[i]}, {"piece", piece.ok() ? *piece : std::string()}};
  }
  return Json{{"tokens", std::move(tokens)}};
}

// vLLM: {"prompt" or "messages", "add_special_tokens", "return_token_strs"} -> {"count", "max_model_len", "tokens"}
Json tokenize_vllm(FieldReader &fields, const Model &model) {
  bool chat = fields.value("messages") != nullptr;
  auto prompt = fields.string("prompt");
  if (chat == prompt.has_value()) {
    fields.fail("prompt", "give either prompt (a string) or messages");
    return nullptr;
  }
  std::string text = chat ? read_chat_prompt(fields, model) : *prompt;
  bool add_special = fields.boolean("add_special_tokens").value_or(!chat);
  bool strings = fields.boolean("return_token_strs").value_or(false);
  if (fields.failed())
    return nullptr;
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(text, add_special);
  if (!ids.ok()) {
    fields.fail("prompt", ids.status().message());
    return nullptr;
  }
  Json out;
  out["count"] = ids->size();
  out["max_model_len"] = model.engine->max_model_len();
  out["tokens"] = *ids;
  out["token_strs"] = strings ? token_texts(model, *ids) : Json(nullptr);
  return out;
}

// Common to the three: a JSON object, the model's name, a tokenizer.
template <typename Body>
void answer(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply, Body body_of) {
  FieldReader fields(*http.json);
  if (auto error = check_model_field(fields, model, context))
    return reply->send(error_response(*error));
  Json out = fields.failed() ? Json(nullptr) : body_of(fields);
  if (auto error = fields.finish())
    return reply->send(error_response(*error));
  reply->send(json_response(out));
}

Json tokenize(FieldReader &fields, const Model &model) {
  return fields.value("content", "string") ? tokenize_llama(fields, model) : tokenize_vllm(fields, model);
}

Json detokenize(FieldReader &fields, const Model &model) {
  bool given = fields.has("tokens");
  std::vector<int32_t> ids = fields.ids("tokens", kMaxIds);
  if (!given)
    fields.fail("tokens", "is missing");
  if (fields.failed())
    return nullptr;
  Result<std::string> text = model.tokenizer->decode(ids, false);
  if (!text.ok()) {
    fields.fail("tokens", text.status().message());
    return nullptr;
  }
  return Json{{"prompt", *text}, {"content", *text}}; // vLLM's name and llama.cpp's
}

} // namespace

void describe_tokenize(FieldReader &fields, const Model &model, ServerContext &) {
  fields.value("content", "string");
  for (const char *name : {"add_special", "parse_special", "with_pieces"})
    fields.boolean(name);
  tokenize_vllm(fields, model);
  read_chat_prompt(fields, model);
}

void describe_detokenize(FieldReader &fields, const Model &model, ServerContext &) { detokenize(fields, model); }

void describe_apply_template(FieldReader &fields, const Model &model, ServerContext &) {
  read_chat_prompt(fields, model);
}

void handle_tokenize(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  if (Status status = model.need_tokenizer(); !status.ok())
    return reply->send(error_response(error_of_status(status)));
  answer(context, model, http, reply, [&](FieldReader &fields) { return tokenize(fields, model); });
}

void handle_detokenize(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  if (Status status = model.need_tokenizer(); !status.ok())
    return reply->send(error_response(error_of_status(status)));
  answer(context, model, http, reply, [&](FieldReader &fields) { return detokenize(fields, model); });
}

void handle_apply_template(ServerContext &context, const Model &model, const HttpRequest &http,
                           const ReplyPtr &reply) {
  answer(context, model, http, reply,
         [&](FieldReader &fields) { return Json{{"prompt", read_chat_prompt(fields, model)}}; });
}

} // namespace llmrt::server
