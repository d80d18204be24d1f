// POST /v1/messages and /v1/messages/count_tokens (https://docs.anthropic.com/en/api/messages).
#include "runtime/server/chat_answer.h"
#include "runtime/server/chat_prompt.h"
#include "runtime/server/conversation.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

#include <utility>

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

// The blocks of an answer as they come: thinking, text, and a tool_use for each call.
class MessageFormat : public AnswerFormat {
public:
  MessageFormat(std::string model_name, const std::string &request_id, const ChatReading &reading)
      : id_("msg_" + request_id), name_(std::move(model_name)), answer_(reading, request_id) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    take(choices[0]); // their events are of no use here
    close();
    Json out = message(usage);
    if (blocks_.empty())
      blocks_.push_back(Json{{"type", "text"}, {"text", ""}});
    out["content"] = blocks_;
    out["stop_reason"] = reason_;
    out["stop_sequence"] = sequence_;
    return out;
  }
  std::string begin(int, const Usage &usage) override { return event("message_start", {{"message", message(usage)}}); }
  std::string delta(const Delta &delta, const Usage &) override { return take(delta); }
  std::string end(const Usage &usage) override {
    std::string out;
    if (blocks_.empty())
      out = open({{"type", "text"}, {"text", ""}});
    out += close();
    Json delta{{"stop_reason", reason_}, {"stop_sequence", sequence_}};
    return out + event("message_delta", {{"delta", std::move(delta)}, {"usage", usage_of(usage)}}) +
           event("message_stop", Json::object());
  }
  std::string stream_error(const ApiError &error) override { return sse_event("error", messages_error(error)); }
  HttpResponse error(const ApiError &error) const override { return messages_error_response(error); }

private:
  std::string take(const Delta &delta) {
    bool last = !delta.finish_reason.empty();
    ChatDelta news = answer_.push(delta.text, last);
    std::string out;
    if (!news.reasoning.empty())
      out += add("thinking", "thinking", "thinking_delta", news.reasoning);
    if (!news.content.empty())
      out += add("text", "text", "text_delta", news.content);
    for (const ToolCallDelta &call : news.calls)
      out += add_call(call);
    if (last)
      note(delta);
    return out;
  }
  void note(const Delta &delta) {
    bool at_string = delta.stop_reason.is_string();
    reason_ = delta.finish_reason == "length" ? "max_tokens"
              : at_string                     ? "stop_sequence"
              : answer_.has_calls()           ? "tool_use"
                                              : "end_turn";
    sequence_ = at_string ? delta.stop_reason : Json(nullptr);
  }
  // Text of a kind, in the block that is open or in a new one.
  std::string add(const char *type, const char *field, const char *delta, const std::string &text) {
    std::string out;
    if (!open_ || blocks_.back()["type"] != type) {
      Json block{{"type", type}, {field, ""}};
      if (block["type"] == "thinking")
        block["signature"] = ""; // nothing is signed here
      out = close(); // before open(): the operands of + have no order
      out += open(std::move(block));
    }
    Json &said = blocks_.back()[field];
    said = said.get<std::string>() + text;
    return out + block_event("content_block_delta", {{"delta", {{"type", delta}, {field, text}}}});
  }
  std::string add_call(const ToolCallDelta &call) {
    std::string out;
    if (!call.id.empty()) {
      out = close();
      arguments_.clear();
      out += open({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", Json::object()}});
    }
    if (call.arguments.empty())
      return out;
    arguments_ += call.arguments;
    return out + block_event("content_block_delta",
                             {{"delta", {{"type", "input_json_delta"}, {"partial_json", call.arguments}}}});
  }
  std::string open(Json block) {
    open_ = true;
    blocks_.push_back(std::move(block));
    return block_event("content_block_start", {{"content_block", blocks_.back()}});
  }
  std::string close() {
    if (!std::exchange(open_, false))
      return {};
    if (blocks_.back()["type"] == "tool_use") {
      Result<Json> input = parse_json(arguments_);
      if (input.ok() && input->is_object())
        blocks_.back()["input"] = std::move(*input);
      else if (!arguments_.empty())
        blocks_.back()["input"] = arguments_; // a call that was cut off, as far as it went
    }
    return block_event("content_block_stop", Json::object());
  }
  std::string block_event(const char *type, Json fields) const {
    fields["index"] = blocks_.size() - 1;
    return event(type, std::move(fields));
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
  ChatAnswer answer_;
  Json blocks_ = Json::array();
  bool open_ = false;     // the last block goes on
  std::string arguments_; // of the last call
  Json reason_, sequence_;
};

// {"type": enabled, adaptive or disabled, "budget_tokens"}: the template's switch, where it has one. The budget is a
// target that nothing here counts; max_tokens bounds thoughts and answer together.
void read_thinking(FieldReader &fields, const Model &model, const ServerConfig &config, Json &variables,
                   bool &keep_thoughts) {
  const Json *given = fields.value("thinking", "object");
  if (!given)
    return;
  FieldReader inner(*given);
  std::string type = inner.string("type").value_or("");
  inner.integer("budget_tokens", 1, INT32_MAX);
  inner.ignore({"display"});
  if (auto error = inner.finish())
    return fields.fail("thinking", error->message);
  if (type != "enabled" && type != "adaptive" && type != "disabled")
    return fields.fail("thinking", "type must be enabled, adaptive or disabled");
  keep_thoughts = type != "disabled";
  if (keep_thoughts && reasoning_parser(model, config) == ReasoningParser::kNone)
    return fields.fail("thinking", "this model writes no thoughts (see --reasoning-parser)");
  variables["enable_thinking"] = keep_thoughts;
}

struct MessageRequest {
  GenerationRequest generation;
  ChatReading reading;
};

// The prompt, and how its answer is to be read.
void read_turns(FieldReader &fields, const Model &model, const ServerConfig &config, MessageRequest &out) {
  GenerationRequest &request = out.generation;
  Json variables = Json::object();
  read_thinking(fields, model, config, variables, out.reading.keep_thoughts);
  fields.refuse({"container", "mcp_servers", "context_management"});
  Conversation turns = read_messages_conversation(fields);
  ToolRequest tools =
      tool_request(fields, turns.tools, turns.tool_choice, turns.parallel_calls, config.auto_tool_choice);
  read_calls(fields, model, config, std::move(tools), out.reading, request.params);
  if (fields.failed())
    return;
  std::string text = render_messages(fields, model, "messages", std::move(turns.messages), std::move(turns.tools),
                                     variables);
  read_thoughts(model, config, text, out.reading, request.params);
  encode_prompt(fields, model, "messages", text, false, request.prompts);
}

MessageRequest read_message(FieldReader &fields, const Model &model, ServerContext &context) {
  MessageRequest out;
  GenerationParams &params = out.generation.params;
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
  fields.ignore({"metadata", "service_tier"});
  read_turns(fields, model, context.config, out);
  return out;
}

} // namespace

void describe_messages(FieldReader &fields, const Model &model, ServerContext &context) {
  read_message(fields, model, context);
}

void describe_count_tokens(FieldReader &fields, const Model &model, ServerContext &context) {
  MessageRequest request;
  read_turns(fields, model, context.config, request);
}

void handle_messages(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body, messages_error_response))
    return;
  MessageRequest request = read_message(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(messages_error_response(*error));
  request.generation.format =
      std::make_shared<MessageFormat>(context.model_name(model), http.request_id, request.reading);
  std::make_shared<Generation>(context, model, reply, std::move(request.generation))->start();
}

void handle_count_tokens(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body, messages_error_response))
    return;
  MessageRequest request;
  read_turns(*body.fields, model, context.config, request);
  if (auto error = body.fields->finish())
    return reply->send(messages_error_response(*error));
  reply->send(json_response(Json{{"input_tokens", request.generation.prompts[0].size()}}));
}

} // namespace llmrt::server
