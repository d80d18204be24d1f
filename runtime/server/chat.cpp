// POST /v1/chat/completions (https://platform.openai.com/docs/api-reference/chat), with vLLM's additions.
#include "runtime/server/chat_answer.h"
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"

#include <map>

namespace llmrt::server {

namespace {

class ChatFormat : public OpenAiFormat {
public:
  ChatFormat(const Model &model, std::string name, const std::string &request_id, const GenerationParams &params,
             ChatReading reading)
      : OpenAiFormat(model, "chat.completion.chunk", "chatcmpl-" + request_id, std::move(name), params),
        reading_(std::move(reading)), request_id_(request_id) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &prompt_logprobs) override {
    Json out = head("chat.completion");
    out["choices"] = Json::array();
    for (const Delta &delta : choices) {
      Json choice;
      choice["index"] = delta.index;
      choice["message"] = message_of(answer(delta.index).push(delta.text, true));
      finish(choice, delta);
      out["choices"].push_back(std::move(choice));
    }
    out["usage"] = usage_json(usage);
    out["prompt_logprobs"] = prompt_logprobs[0];
    return out;
  }
  std::string delta(const Delta &delta, const Usage &usage) override {
    new_ = chunk_of(answer(delta.index).push(delta.text, !delta.finish_reason.empty()));
    bool nothing = new_.empty() && delta.finish_reason.empty() && delta.tokens.empty();
    return nothing ? std::string() : OpenAiFormat::delta(delta, usage);
  }

private:
  ChatAnswer &answer(int index) {
    return answers_.try_emplace(index, reading_, request_id_ + "/" + std::to_string(index)).first->second;
  }
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
    choice["delta"] = new_;
    finish(choice, delta);
    return choice;
  }
  void finish(Json &choice, const Delta &delta) const {
    choice["logprobs"] = delta.tokens.empty() ? Json(nullptr) : chat_logprobs(model_, delta.tokens);
    auto found = answers_.find(delta.index);
    bool calls = found != answers_.end() && found->second.has_calls() && delta.finish_reason == "stop" &&
                 reading_.tools.choice != ToolChoice::kNamed; // OpenAI's reason for a named function is "stop"
    choice["finish_reason"] = delta.finish_reason.empty() ? Json(nullptr) : Json(calls ? "tool_calls" : delta.finish_reason);
    choice["stop_reason"] = delta.stop_reason;
  }

  ChatReading reading_;
  std::string request_id_;
  std::map<int, ChatAnswer> answers_; // by choice
  Json new_;                          // of the delta that is being said
};

struct ChatRequest {
  GenerationRequest generation;
  ChatReading reading;
};

void read_logprobs(FieldReader &fields, SamplingParams &sampling) {
  bool wanted = fields.boolean("logprobs").value_or(false);
  auto top = fields.integer("top_logprobs", 0, 20);
  if (top && *top > 0 && !wanted)
    fields.fail("top_logprobs", "needs logprobs: true");
  if (wanted)
    sampling.logprobs = static_cast<int32_t>(top.value_or(0));
}

ChatRequest read_chat(FieldReader &fields, const Model &model, ServerContext &context) {
  ChatRequest out;
  GenerationRequest &request = out.generation;
  request.params = read_generation_params(fields, model, context);
  auto max_tokens = fields.integer("max_tokens", 0, INT32_MAX);
  auto newer = fields.integer("max_completion_tokens", 0, INT32_MAX);
  request.params.max_tokens = newer ? *newer : max_tokens.value_or(-1);
  read_logprobs(fields, request.params.sampling);
  out.reading.keep_thoughts = fields.boolean("include_reasoning").value_or(true);
  read_calls(fields, model, context.config, read_tools(fields, context.config.auto_tool_choice), out.reading,
             request.params);
  fields.refuse_unless("echo", false);
  fields.refuse({"functions", "function_call", "modalities", "audio", "prediction", "web_search_options",
                  "mm_processor_kwargs", "verbosity"});
  bool add_special = fields.boolean("add_special_tokens").value_or(false); // templates write them
  std::string text = read_chat_prompt(fields, model);
  read_thoughts(model, context.config, text, out.reading, request.params);
  encode_prompt(fields, model, "messages", text, add_special, request.prompts);
  return out;
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
  ChatRequest chat = read_chat(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  GenerationRequest &request = chat.generation;
  request.format = std::make_shared<ChatFormat>(model, context.model_name(model), http.request_id, request.params,
                                                std::move(chat.reading));
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
