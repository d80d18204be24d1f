// POST /v1/messages and /v1/messages/count_tokens (https://docs.anthropic.com/en/api/messages).
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

namespace llmrt::server {

namespace {

constexpr size_t kMaxStops = 64;

const char *error_type(int status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 404:
    return "not_found_error";
  case 413:
    return "request_too_large";
  case 503:
    return "overloaded_error";
  default:
    return status < 500 ? "invalid_request_error" : "api_error";
  }
}

Json messages_error(const ApiError &error) {
  return Json{{"type", "error"}, {"error", {{"type", error_type(error.status)}, {"message", error.message}}}};
}

} // namespace

HttpResponse messages_error_response(const ApiError &error) {
  HttpResponse out = error_response(error); // its headers
  out.body = dump_json(messages_error(error));
  return out;
}

namespace {

class MessageFormat : public AnswerFormat {
public:
  MessageFormat(std::string model_name, const std::string &request_id)
      : id_("msg_" + request_id), name_(std::move(model_name)) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    note(choices[0]);
    Json out = message(usage);
    out["content"].push_back(Json{{"type", "text"}, {"text", choices[0].text}});
    out["stop_reason"] = reason_;
    out["stop_sequence"] = sequence_;
    return out;
  }
  std::string begin(int, const Usage &usage) override {
    Json block{{"type", "text"}, {"text", ""}};
    return event("message_start", {{"message", message(usage)}}) +
           event("content_block_start", {{"index", 0}, {"content_block", std::move(block)}});
  }
  std::string delta(const Delta &delta, const Usage &) override {
    note(delta);
    if (delta.text.empty())
      return {};
    return event("content_block_delta", {{"index", 0}, {"delta", {{"type", "text_delta"}, {"text", delta.text}}}});
  }
  std::string end(const Usage &usage) override {
    Json delta{{"stop_reason", reason_}, {"stop_sequence", sequence_}};
    return event("content_block_stop", {{"index", 0}}) +
           event("message_delta", {{"delta", std::move(delta)}, {"usage", usage_of(usage)}}) +
           event("message_stop", Json::object());
  }
  std::string stream_error(const ApiError &error) override { return sse_event("error", messages_error(error)); }
  HttpResponse error(const ApiError &error) const override { return messages_error_response(error); }

private:
  void note(const Delta &delta) {
    if (delta.finish_reason.empty())
      return;
    bool at_string = delta.stop_reason.is_string();
    reason_ = delta.finish_reason == "length" ? "max_tokens" : at_string ? "stop_sequence" : "end_turn";
    sequence_ = at_string ? delta.stop_reason : Json(nullptr);
  }
  static std::string event(const char *type, Json fields) {
    Json out{{"type", type}};
    out.update(fields);
    return sse_event(type, out);
  }
  // Tokens from the cache are counted apart, as Anthropic does.
  static Json usage_of(const Usage &usage) {
    return Json{{"input_tokens", usage.prompt - usage.cached},
                {"cache_creation_input_tokens", 0},
                {"cache_read_input_tokens", usage.cached},
                {"output_tokens", usage.completion}};
  }
  Json message(const Usage &usage) const {
    Json out{{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", name_}};
    out["content"] = Json::array();
    out["stop_reason"] = nullptr;
    out["stop_sequence"] = nullptr;
    out["usage"] = usage_of(usage);
    return out;
  }

  std::string id_, name_;
  Json reason_, sequence_;
};

// system, then messages.
Json read_conversation(FieldReader &fields) {
  Json out = Json::array();
  std::string text;
  if (const Json *system = fields.value("system", "any")) {
    if (!text_of_parts(*system, {"text"}, text))
      fields.fail("system", "must be a string or a list of text blocks");
    out.push_back(Json{{"role", "system"}, {"content", text}});
  }
  const Json *messages = fields.value("messages", "array");
  if (!messages || !messages->is_array() || messages->empty()) {
    fields.fail("messages", "must be a list with at least one message");
    return out;
  }
  for (size_t i = 0; i < messages->size(); ++i) {
    const Json &message = (*messages)[i];
    bool good = message.is_object() && message.contains("role") && message.contains("content") &&
                (message["role"] == "user" || message["role"] == "assistant") &&
                text_of_parts(message["content"], {"text"}, text);
    if (!good) {
      fields.fail("messages", "message " + std::to_string(i) + " must have the role user or assistant and content "
                              "that is a string or text blocks");
      return out;
    }
    out.push_back(Json{{"role", message["role"]}, {"content", text}});
  }
  return out;
}

void read_tools(FieldReader &fields) {
  fields.refuse_unless("tools", Json::array());
  const Json *choice = fields.value("tool_choice", "object");
  bool harmless = choice && choice->is_object() && choice->contains("type") &&
                  ((*choice)["type"] == "auto" || (*choice)["type"] == "none");
  if (choice && !harmless)
    fields.fail("tool_choice", "is not supported by this endpoint except auto and none");
  fields.refuse_unless("thinking", Json{{"type", "disabled"}});
  fields.refuse({"container", "mcp_servers", "context_management"});
}

GenerationRequest read_message(FieldReader &fields, const Model &model, ServerContext &context) {
  GenerationRequest request;
  GenerationParams &params = request.params;
  params.sampling = model.defaults;
  params.sampling.seed = context.next_seed();
  if (auto value = fields.number("temperature", 0, 2))
    params.sampling.temperature = static_cast<float>(*value);
  if (auto value = fields.number("top_p", 1e-6, 1))
    params.sampling.top_p = static_cast<float>(*value);
  if (auto value = fields.integer("top_k", 0, INT32_MAX))
    params.sampling.top_k = static_cast<int32_t>(*value);
  auto most = fields.integer("max_tokens", 1, INT32_MAX);
  if (!most)
    fields.fail("max_tokens", "is missing");
  params.max_tokens = most.value_or(1);
  params.stream = fields.boolean("stream").value_or(false);
  params.text.stop = fields.string_or_list("stop_sequences", kMaxStops);
  for (const std::string &stop : params.text.stop)
    if (stop.empty())
      fields.fail("stop_sequences", "a stop sequence must not be empty");
  read_tools(fields);
  fields.ignore({"metadata", "service_tier"});
  Json messages = read_conversation(fields);
  if (!fields.failed())
    encode_prompt(fields, model, "messages", render_messages(fields, model, "messages", std::move(messages)), false,
                  request.prompts);
  return request;
}

std::vector<std::vector<int32_t>> read_count(FieldReader &fields, const Model &model) {
  std::vector<std::vector<int32_t>> prompts;
  read_tools(fields);
  Json messages = read_conversation(fields);
  if (!fields.failed())
    encode_prompt(fields, model, "messages", render_messages(fields, model, "messages", std::move(messages)), false,
                  prompts);
  return prompts;
}

} // namespace

void describe_messages(FieldReader &fields, const Model &model, ServerContext &context) {
  read_message(fields, model, context);
}

void describe_count_tokens(FieldReader &fields, const Model &model, ServerContext &) { read_count(fields, model); }

void handle_messages(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body, messages_error_response))
    return;
  GenerationRequest request = read_message(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(messages_error_response(*error));
  request.format = std::make_shared<MessageFormat>(context.model_name(model), http.request_id);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

void handle_count_tokens(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body, messages_error_response))
    return;
  auto prompts = read_count(*body.fields, model);
  if (auto error = body.fields->finish())
    return reply->send(messages_error_response(*error));
  reply->send(json_response(Json{{"input_tokens", prompts[0].size()}}));
}

} // namespace llmrt::server
