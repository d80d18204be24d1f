// POST /v1/responses (https://platform.openai.com/docs/api-reference/responses): text in, text out, nothing stored.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

#include <ctime>

namespace llmrt::server {

namespace {

// What the answer repeats of the request.
struct Asked {
  Json instructions, max_output_tokens, metadata = Json::object(), user;
  float temperature = 1, top_p = 1;
};

class ResponseFormat : public AnswerFormat {
public:
  ResponseFormat(std::string model_name, const std::string &request_id, Asked asked)
      : id_("resp_" + request_id), item_id_("msg_" + request_id), name_(std::move(model_name)),
        created_(std::time(nullptr)), asked_(std::move(asked)) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    text_ = choices[0].text;
    finish_ = choices[0].finish_reason;
    Json out = response(status().c_str());
    out["output"].push_back(item(status().c_str(), true));
    out["usage"] = usage_of(usage);
    return out;
  }
  std::string begin(int, const Usage &) override {
    std::string out = event("response.created", {{"response", response("in_progress")}});
    out += event("response.in_progress", {{"response", response("in_progress")}});
    out += event("response.output_item.added", {{"output_index", 0}, {"item", item("in_progress", false)}});
    return out + event("response.content_part.added", at_part({{"part", part("")}}));
  }
  std::string delta(const Delta &delta, const Usage &) override {
    finish_ = delta.finish_reason;
    if (delta.text.empty())
      return {};
    text_ += delta.text;
    return event("response.output_text.delta", at_part({{"delta", delta.text}, {"logprobs", Json::array()}}));
  }
  std::string end(const Usage &usage) override {
    Json done = response(status().c_str());
    done["output"].push_back(item(status().c_str(), true));
    done["usage"] = usage_of(usage);
    std::string out = event("response.output_text.done", at_part({{"text", text_}, {"logprobs", Json::array()}}));
    out += event("response.content_part.done", at_part({{"part", part(text_)}}));
    out += event("response.output_item.done", {{"output_index", 0}, {"item", item(status().c_str(), true)}});
    const char *last = finish_ == "length" ? "response.incomplete" : "response.completed";
    return out + event(last, {{"response", std::move(done)}});
  }
  std::string stream_error(const ApiError &error) override {
    return event("error", {{"code", "server_error"}, {"message", error.message}, {"param", nullptr}});
  }

private:
  std::string status() const { return finish_ == "length" ? "incomplete" : "completed"; }
  std::string event(const char *type, Json fields) {
    Json out{{"type", type}, {"sequence_number", sequence_++}};
    out.update(fields);
    return sse_event(type, out);
  }
  Json at_part(Json fields) const {
    Json out{{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
    out.update(fields);
    return out;
  }
  static Json part(const std::string &text) {
    return Json{{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }
  Json item(const char *status, bool with_text) const {
    Json out{{"id", item_id_}, {"type", "message"}, {"status", status}, {"role", "assistant"}};
    out["content"] = Json::array();
    if (with_text)
      out["content"].push_back(part(text_));
    return out;
  }
  static Json usage_of(const Usage &usage) {
    return Json{{"input_tokens", usage.prompt},
                {"input_tokens_details", {{"cached_tokens", usage.cached}}},
                {"output_tokens", usage.completion},
                {"output_tokens_details", {{"reasoning_tokens", 0}}},
                {"total_tokens", usage.prompt + usage.completion}};
  }
  Json response(const char *status) const {
    Json out;
    out["id"] = id_;
    out["object"] = "response";
    out["created_at"] = created_;
    out["status"] = status;
    out["background"] = false;
    out["error"] = nullptr;
    bool cut = std::string_view(status) == "incomplete";
    out["incomplete_details"] = cut ? Json{{"reason", "max_output_tokens"}} : Json(nullptr);
    out["instructions"] = asked_.instructions;
    out["max_output_tokens"] = asked_.max_output_tokens;
    out["model"] = name_;
    out["output"] = Json::array();
    out["parallel_tool_calls"] = true;
    out["previous_response_id"] = nullptr;
    out["store"] = false;
    out["temperature"] = asked_.temperature;
    out["text"] = Json{{"format", {{"type", "text"}}}};
    out["tool_choice"] = "auto";
    out["tools"] = Json::array();
    out["top_p"] = asked_.top_p;
    out["truncation"] = "disabled";
    out["usage"] = nullptr;
    out["user"] = asked_.user;
    out["metadata"] = asked_.metadata;
    return out;
  }

  std::string id_, item_id_, name_, text_, finish_;
  int64_t created_;
  int64_t sequence_ = 0;
  Asked asked_;
};

bool read_item(const Json &item, Json &messages) {
  if (!item.is_object() || item.value("type", Json("message")) != "message" || !item.contains("role") ||
      !item["role"].is_string() || !item.contains("content"))
    return false;
  std::string role = item["role"], text;
  if (role != "user" && role != "assistant" && role != "system" && role != "developer")
    return false;
  if (!text_of_parts(item["content"], {"input_text", "output_text", "text"}, text))
    return false;
  messages.push_back(Json{{"role", role == "developer" ? "system" : role}, {"content", std::move(text)}});
  return true;
}

void read_input(FieldReader &fields, Json &messages) {
  const Json *input = fields.value("input", "any");
  if (!input)
    return fields.fail("input", "is missing");
  if (input->is_string()) {
    messages.push_back(Json{{"role", "user"}, {"content", *input}});
    return;
  }
  if (!input->is_array() || input->empty())
    return fields.fail("input", "must be a string or a list of items");
  for (size_t i = 0; i < input->size(); ++i)
    if (!read_item((*input)[i], messages))
      return fields.fail("input", "item " + std::to_string(i) + " is not a message of text from user, assistant, "
                                  "system or developer, which is all that this server takes");
}

void read_text(FieldReader &fields, TextShape &shape) {
  const Json *text = fields.value("text", "object");
  if (!text)
    return;
  FieldReader inner(*text);
  if (const Json *format = inner.value("format", "object")) {
    TextShape given = read_text_format(fields, *format);
    if (!given.any() && !shape.any())
      fields.fail("text", "and " + shape.field + " both say what the text must look like; give one");
    if (!given.any())
      shape = std::move(given);
  }
  inner.refuse({"verbosity"});
  if (auto error = inner.finish())
    fields.fail("text", error->message);
}

void refuse_what_needs_a_store(FieldReader &fields) {
  auto refuse = [&](const char *name, const Json &neutral, const char *why) {
    const Json *found = fields.value(name);
    if (found && *found != neutral)
      fields.fail(name, why);
  };
  static constexpr const char *kStore = "this server stores no responses; send the whole conversation as input";
  refuse("previous_response_id", nullptr, kStore);
  refuse("conversation", nullptr, kStore);
  refuse("store", false, kStore);
  refuse("background", false, kStore);
}

GenerationRequest read_response(FieldReader &fields, const Model &model, ServerContext &context, Asked &asked) {
  GenerationRequest request;
  request.params = read_generation_params(fields, model, context);
  auto most = fields.integer("max_output_tokens", 1, INT32_MAX);
  request.params.max_tokens = most.value_or(-1);
  Json messages = Json::array();
  auto instructions = fields.string("instructions");
  if (instructions)
    messages.push_back(Json{{"role", "system"}, {"content", *instructions}});
  read_input(fields, messages);
  read_text(fields, request.params.shape);
  refuse_what_needs_a_store(fields);
  fields.refuse_unless("tools", Json::array());
  fields.refuse_unless("truncation", "disabled");
  fields.refuse_unless("include", Json::array());
  fields.refuse_unless("top_logprobs", 0);
  fields.refuse({"reasoning", "prompt", "max_tool_calls"});
  const Json *choice = fields.value("tool_choice");
  if (choice && *choice != "auto" && *choice != "none")
    fields.fail("tool_choice", "is auto or none: this endpoint takes no tools");
  fields.boolean("parallel_tool_calls");
  if (request.params.n != 1 || request.params.best_of != 1)
    fields.fail("n", "is 1 here");
  if (most)
    asked.max_output_tokens = *most;
  if (instructions)
    asked.instructions = *instructions;
  asked.temperature = request.params.sampling.temperature;
  asked.top_p = request.params.sampling.top_p;
  if (!fields.failed())
    encode_prompt(fields, model, "input", render_messages(fields, model, "input", std::move(messages)), false,
                  request.prompts);
  return request;
}

} // namespace

void describe_responses(FieldReader &fields, const Model &model, ServerContext &context) {
  Asked asked;
  read_response(fields, model, context, asked);
}

void handle_responses(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  Asked asked;
  GenerationRequest request = read_response(*body.fields, model, context, asked);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  if (const Json *metadata = body.fields->value("metadata"); metadata && metadata->is_object())
    asked.metadata = *metadata;
  if (const Json *user = body.fields->value("user"))
    asked.user = *user;
  request.format = std::make_shared<ResponseFormat>(context.model_name(model), http.request_id, std::move(asked));
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
