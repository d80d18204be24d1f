// POST /v1/chat/completions (https://platform.openai.com/docs/api-reference/chat), with vLLM's additions.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"

namespace llmrt::server {

namespace {

class ChatFormat : public OpenAiFormat {
public:
  ChatFormat(const Model &model, std::string name, const std::string &request_id, const GenerationParams &params)
      : OpenAiFormat(model, "chat.completion.chunk", "chatcmpl-" + request_id, std::move(name), params) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &prompt_logprobs) override {
    Json out = head("chat.completion");
    out["choices"] = Json::array();
    for (const Delta &delta : choices) {
      Json choice;
      choice["index"] = delta.index;
      choice["message"] = Json{{"role", "assistant"}, {"content", delta.text}, {"refusal", nullptr}};
      finish(choice, delta);
      out["choices"].push_back(std::move(choice));
    }
    out["usage"] = usage_json(usage);
    out["prompt_logprobs"] = prompt_logprobs[0];
    return out;
  }

private:
  Json opening(int index) const override {
    Json choice;
    choice["index"] = index;
    choice["delta"] = Json{{"role", "assistant"}, {"content", ""}};
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = nullptr;
    return choice;
  }
  Json choice_of(const Delta &delta) const override {
    Json choice;
    choice["index"] = delta.index;
    choice["delta"] = Json::object();
    if (!delta.text.empty() || delta.finish_reason.empty())
      choice["delta"]["content"] = delta.text;
    finish(choice, delta);
    return choice;
  }
  void finish(Json &choice, const Delta &delta) const {
    choice["logprobs"] = delta.tokens.empty() ? Json(nullptr) : chat_logprobs(model_, delta.tokens);
    choice["finish_reason"] = delta.finish_reason.empty() ? Json(nullptr) : Json(delta.finish_reason);
    choice["stop_reason"] = delta.stop_reason;
  }
};

void read_logprobs(FieldReader &fields, SamplingParams &sampling) {
  bool wanted = fields.boolean("logprobs").value_or(false);
  auto top = fields.integer("top_logprobs", 0, 20);
  if (top && *top > 0 && !wanted)
    fields.fail("top_logprobs", "needs logprobs: true");
  if (wanted)
    sampling.logprobs = static_cast<int32_t>(top.value_or(0));
}

// Tools reach the template only when no call has to be parsed out of the answer.
void read_tool_fields(FieldReader &fields) {
  const Json *choice = fields.value("tool_choice");
  const Json *tools = fields.value("tools");
  bool none = choice && *choice == "none";
  if (tools && !tools->empty() && !none)
    fields.fail("tools", "tool calls are not supported yet by this server (with tool_choice \"none\" the tools are "
                         "shown to the model)");
  if (choice && !none && *choice != "auto")
    fields.fail("tool_choice", "is not supported yet by this server except \"none\" and \"auto\"");
  fields.boolean("parallel_tool_calls");
}

GenerationRequest read_chat(FieldReader &fields, const Model &model, ServerContext &context) {
  GenerationRequest request;
  request.params = read_generation_params(fields, model, context);
  auto max_tokens = fields.integer("max_tokens", 0, INT32_MAX);
  auto newer = fields.integer("max_completion_tokens", 0, INT32_MAX);
  request.params.max_tokens = newer ? *newer : max_tokens.value_or(-1);
  read_logprobs(fields, request.params.sampling);
  read_tool_fields(fields);
  fields.refuse_unless("echo", false);
  fields.refuse({"functions", "function_call", "modalities", "audio", "prediction", "reasoning_effort",
                 "web_search_options", "mm_processor_kwargs", "verbosity"});
  bool add_special = fields.boolean("add_special_tokens").value_or(false); // templates write them
  std::string text = read_chat_prompt(fields, model);
  encode_prompt(fields, model, "messages", text, add_special, request.prompts);
  return request;
}

} // namespace

void describe_chat_completions(FieldReader &fields, const Model &model, ServerContext &context) {
  read_chat(fields, model, context);
}

void handle_chat_completions(ServerContext &context, const Model &model, const HttpRequest &http,
                             const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  GenerationRequest request = read_chat(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<ChatFormat>(model, context.model_name(model), http.request_id,
                                                request.params);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
