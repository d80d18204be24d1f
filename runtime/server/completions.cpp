// POST /v1/completions (https://platform.openai.com/docs/api-reference/completions), with vLLM's additions.
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"

#include <ctime>

namespace llmrt::server {

namespace {

constexpr int64_t kDefaultMaxTokens = 16;
constexpr size_t kMaxPrompts = 256;

class CompletionFormat : public AnswerFormat {
public:
  CompletionFormat(const Model &model, std::string name, const std::string &request_id)
      : model_(model), id_("cmpl-" + request_id), name_(std::move(name)), created_(std::time(nullptr)) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage) const override {
    Json out = head();
    out["choices"] = Json::array();
    for (const Delta &delta : choices)
      out["choices"].push_back(choice(delta));
    out["usage"] = usage_json(usage);
    return out;
  }
  Json opening(int) const override { return nullptr; }
  Json chunk(const Delta &delta) const override {
    Json out = head();
    out["choices"] = Json::array({choice(delta)});
    return out;
  }
  Json usage_chunk(const Usage &usage) const override {
    Json out = head();
    out["choices"] = Json::array();
    out["usage"] = usage_json(usage);
    return out;
  }

private:
  Json head() const {
    Json out;
    out["id"] = id_;
    out["object"] = "text_completion";
    out["created"] = created_;
    out["model"] = name_;
    out["system_fingerprint"] = model_.root_hash;
    return out;
  }
  Json choice(const Delta &delta) const {
    Json out;
    out["index"] = delta.index;
    out["text"] = delta.text;
    out["logprobs"] =
        delta.tokens.empty() ? Json(nullptr) : completion_logprobs(model_, delta.tokens, delta.text_offset);
    out["finish_reason"] = delta.finish_reason.empty() ? Json(nullptr) : Json(delta.finish_reason);
    out["stop_reason"] = delta.stop_reason;
    return out;
  }

  const Model &model_;
  std::string id_, name_;
  int64_t created_;
};

// One text prompt to ids; false: the reader has the reason.
bool encode_prompt(FieldReader &fields, const Model &model, const std::string &text, bool add_special,
                   std::vector<std::vector<int32_t>> &prompts) {
  if (Status status = model.need_tokenizer(); !status.ok()) {
    fields.fail("prompt", status.message() + " (a list of token ids works)");
    return false;
  }
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(text, add_special);
  if (!ids.ok()) {
    fields.fail("prompt", ids.status().message());
    return false;
  }
  prompts.push_back(std::move(*ids));
  return true;
}

// prompt: a string, a list of strings, a list of ids, or a list of lists of ids.
void read_prompts(FieldReader &fields, const Model &model, std::vector<std::vector<int32_t>> &prompts) {
  bool add_special = fields.boolean("add_special_tokens").value_or(true);
  const Json *prompt = fields.value("prompt");
  static constexpr const char *kForms = "must be a string, a list of strings, or a list (of lists) of token ids";
  if (!prompt)
    return fields.fail("prompt", "is missing");
  if (prompt->is_string()) {
    encode_prompt(fields, model, prompt->get_ref<const std::string &>(), add_special, prompts);
    return;
  }
  if (!prompt->is_array() || prompt->empty())
    return fields.fail("prompt", kForms);
  std::vector<int32_t> ids;
  if (json_to_ids(*prompt, ids)) {
    prompts.push_back(std::move(ids));
    return;
  }
  if (prompt->size() > kMaxPrompts)
    return fields.fail("prompt", "at most " + std::to_string(kMaxPrompts) + " prompts a request");
  bool strings = prompt->front().is_string();
  for (const Json &element : *prompt) {
    if (element.is_string() != strings || (!strings && !json_to_ids(element, ids)))
      return fields.fail("prompt", kForms);
    if (!strings)
      prompts.push_back(ids);
    else if (!encode_prompt(fields, model, element.get_ref<const std::string &>(), add_special, prompts))
      return;
  }
}

void read_echo(FieldReader &fields, const Model &model, GenerationRequest &out) {
  if (!fields.boolean("echo").value_or(false))
    return;
  if (out.params.sampling.logprobs >= 0)
    return fields.fail("echo", "together with logprobs is not supported yet by this server");
  if (Status status = model.need_tokenizer(); !status.ok())
    return fields.fail("echo", status.message());
  for (const auto &prompt : out.prompts) {
    Result<std::string> text = model.tokenizer->decode(prompt, out.params.text.skip_special);
    if (!text.ok())
      return fields.fail("prompt", text.status().message());
    out.echoes.push_back(std::move(*text));
  }
}

} // namespace

void handle_completions(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  Result<Json> body = parse_json(http.body);
  if (!body.ok())
    return reply->send(error_response(error_of_status(body.status())));
  FieldReader fields(*body);
  if (auto error = check_model_field(fields, model, context))
    return reply->send(error_response(*error));
  GenerationRequest request;
  request.params = read_generation_params(fields, model, context);
  request.params.max_tokens = fields.integer("max_tokens", 0, INT32_MAX).value_or(kDefaultMaxTokens);
  if (auto logprobs = fields.integer("logprobs", 0, 20))
    request.params.sampling.logprobs = static_cast<int32_t>(*logprobs);
  read_prompts(fields, model, request.prompts);
  read_echo(fields, model, request);
  fields.refuse_unless("suffix", "");
  if (auto error = fields.finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<CompletionFormat>(model, context.model_name(model), http.request_id);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
