// POST /v1/completions (https://platform.openai.com/docs/api-reference/completions), with vLLM's additions.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"

namespace llmrt::server {

namespace {

constexpr int64_t kDefaultMaxTokens = 16;
constexpr size_t kMaxPrompts = 256;

class CompletionFormat : public OpenAiFormat {
public:
  CompletionFormat(const Model &model, std::string name, const std::string &request_id, const GenerationParams &params)
      : OpenAiFormat(model, "text_completion", "cmpl-" + request_id, std::move(name), params), n_(params.n) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &prompt_logprobs) override {
    Json out = head("text_completion");
    out["choices"] = Json::array();
    for (const Delta &delta : choices) {
      Json choice = choice_of(delta);
      choice["prompt_logprobs"] = prompt_logprobs[static_cast<size_t>(delta.index / n_)];
      out["choices"].push_back(std::move(choice));
    }
    out["usage"] = usage_json(usage);
    return out;
  }
  // As vLLM: who times a stream counts its events, also where tokens are parts of a letter or have no text.
  bool says_every_token() const override { return true; }

private:
  Json choice_of(const Delta &delta) const override {
    Json out;
    out["index"] = delta.index;
    out["text"] = delta.text;
    bool scored = !delta.tokens.empty() || !delta.prompt.empty();
    out["logprobs"] = scored ? completion_logprobs(model_, delta) : Json(nullptr);
    out["finish_reason"] = delta.finish_reason.empty() ? Json(nullptr) : Json(delta.finish_reason);
    out["stop_reason"] = delta.stop_reason;
    return out;
  }

  int n_;
};

void read_echo(FieldReader &fields, const Model &model, GenerationRequest &out) {
  if (!fields.boolean("echo").value_or(false))
    return;
  if (Status status = model.need_tokenizer(); !status.ok())
    return fields.fail("echo", status.message());
  for (const auto &prompt : out.prompts) {
    Result<std::string> text = model.tokenizer->decode(prompt, out.params.text.skip_special);
    if (!text.ok())
      return fields.fail("prompt", text.status().message());
    out.echoes.push_back(std::move(*text));
  }
}

GenerationRequest read_completion(FieldReader &fields, const Model &model, ServerContext &context) {
  GenerationRequest request;
  request.params = read_generation_params(fields, model, context);
  request.params.max_tokens = fields.integer("max_tokens", 0, INT32_MAX).value_or(kDefaultMaxTokens);
  if (auto logprobs = fields.integer("logprobs", 0, 20))
    request.params.sampling.logprobs = static_cast<int32_t>(*logprobs);
  read_prompts(fields, model, "prompt", kMaxPrompts, request.prompts);
  read_echo(fields, model, request);
  fields.refuse_unless("suffix", ""); // text in the middle needs a model made for it
  return request;
}

} // namespace

void describe_completions(FieldReader &fields, const Model &model, ServerContext &context) {
  read_completion(fields, model, context);
}

void handle_completions(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  GenerationRequest request = read_completion(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<CompletionFormat>(model, context.model_name(model), http.request_id,
                                                      request.params);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
