// POST /v1/responses (https://platform.openai.com/docs/api-reference/responses): text and calls of functions, nothing stored.
#include "runtime/server/chat_answer.h"
#include "runtime/server/chat_prompt.h"
#include "runtime/server/conversation.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

#include <ctime>
#include <string_view>
#include <utility>

namespace llmrt::server {

namespace {

// What the answer repeats of the request.
struct Asked {
  Json instructions, max_output_tokens, metadata = Json::object(), user, reasoning;
  Json tools = Json::array(), tool_choice = "auto", text_format{{"type", "text"}};
  bool parallel_tool_calls = true;
  float temperature = 1, top_p = 1;
};

// The items of an answer as they come: reasoning, a message of text, and a function_call for each call. An item is open
// until another begins or the answer ends.
class ResponseFormat : public AnswerFormat {
public:
  ResponseFormat(const Model &model, std::string model_name, const std::string &request_id, Asked asked,
                 const ChatReading &reading)
      : model_(model), request_id_(request_id), name_(std::move(model_name)), created_(std::time(nullptr)), asked_(std::move(asked)),
        answer_(reading, request_id) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    take(choices[0]); // their events are of no use here
    finish();
    Json out = response(status(true));
    out["output"] = items_;
    out["usage"] = usage_of(usage);
    return out;
  }
  std::string begin(int, const Usage &) override {
    std::string out = event("response.created", {{"response", response("in_progress")}});
    out += event("response.in_progress", {{"response", response("in_progress")}}); // events are numbered in order
    return out;
  }
  std::string delta(const Delta &delta, const Usage &) override { return take(delta); }
  std::string end(const Usage &usage) override {
    std::string out = finish();
    Json done = response(status(true));
    done["output"] = items_;
    done["usage"] = usage_of(usage);
    const char *last = finish_ == "length" ? "response.incomplete" : "response.completed";
    return out + event(last, {{"response", std::move(done)}});
  }
  std::string stream_error(const ApiError &error) override {
    return event("error", {{"code", "server_error"}, {"message", error.message}, {"param", nullptr}});
  }

private:
  std::string take(const Delta &delta) {
    finish_ = delta.finish_reason;
    ChatDelta news = answer_.push(delta.text, !finish_.empty());
    std::string out;
    if (!news.reasoning.empty())
      out += add_text("reasoning", news.reasoning);
    if (!news.content.empty())
      out += add_text("message", news.content);
    for (const ToolCallDelta &call : news.calls)
      out += add_call(call);
    return out;
  }
  // The last item is what the answer's end cuts off.
  const char *status(bool last) const { return last && finish_ == "length" ? "incomplete" : "completed"; }

  std::string add_text(const char *type, const std::string &text) {
    std::string out;
    bool thoughts = type == std::string_view("reasoning");
    if (!open_ || items_.back()["type"] != type) {
      Json item{{"id", (thoughts ? "rs_" : "msg_") + item_name()}, {"type", type}, {"status", "in_progress"}};
      if (thoughts)
        item["summary"] = Json::array();
      else
        item["role"] = "assistant";
      item["content"] = Json::array();
      out = close(false);
      out += open(std::move(item));
      items_.back()["content"].push_back(part(""));
      out += event("response.content_part.added", at_part({{"part", part("")}}));
    }
    Json &said = items_.back()["content"][0]["text"];
    said = said.get<std::string>() + text;
    return out + event(thoughts ? "response.reasoning_text.delta" : "response.output_text.delta",
                       at_part(with_logprobs({{"delta", text}})));
  }
  std::string add_call(const ToolCallDelta &call) {
    std::string out;
    if (!call.id.empty()) {
      out = close(false);
      out += open({{"id", "fc_" + item_name()},
                   {"type", "function_call"},
                   {"status", "in_progress"},
                   {"call_id", call.id},
                   {"name", call.name},
                   {"arguments", ""}});
    }
    if (call.arguments.empty())
      return out;
    Json &said = items_.back()["arguments"];
    said = said.get<std::string>() + call.arguments;
    return out + event("response.function_call_arguments.delta", at_item({{"delta", call.arguments}}));
  }
  std::string open(Json item) {
    open_ = true;
    items_.push_back(std::move(item));
    return event("response.output_item.added", {{"output_index", items_.size() - 1}, {"item", items_.back()}});
  }
  std::string close(bool last) {
    if (!std::exchange(open_, false))
      return {};
    Json &item = items_.back();
    item["status"] = status(last);
    std::string out;
    if (item["type"] == "function_call") {
      out = event("response.function_call_arguments.done",
                  at_item({{"name", item["name"]}, {"arguments", item["arguments"]}}));
    } else {
      Json part = item["content"][0];
      const char *done = item["type"] == "reasoning" ? "response.reasoning_text.done" : "response.output_text.done";
      out = event(done, at_part(with_logprobs({{"text", part["text"]}})));
      out += event("response.content_part.done", at_part({{"part", std::move(part)}}));
    }
    return out += event("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", item}});
  }
  // An answer of nothing is a message without text.
  std::string finish() {
    std::string out = items_.empty() ? add_text("message", "") : std::string();
    return out += close(true);
  }

  std::string event(const char *type, Json fields) {
    Json out{{"type", type}, {"sequence_number", sequence_++}};
    out.update(fields);
    return sse_event(type, out);
  }
  std::string item_name() const {
    return request_id_ + (items_.empty() ? std::string() : "_" + std::to_string(items_.size()));
  }
  Json at_item(Json fields) const {
    Json out{{"item_id", items_.back()["id"]}, {"output_index", items_.size() - 1}};
    out.update(fields);
    return out;
  }
  Json at_part(Json fields) const {
    Json out = at_item({{"content_index", 0}});
    out.update(fields);
    return out;
  }
  bool in_thoughts() const { return items_.back()["type"] == "reasoning"; }
  Json with_logprobs(Json fields) const {
    if (!in_thoughts())
      fields["logprobs"] = Json::array();
    return fields;
  }
  Json part(const std::string &text) const {
    if (in_thoughts())
      return Json{{"type", "reasoning_text"}, {"text", text}};
    return Json{{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }
  // Thoughts are told from the rest by their text: what it takes to write it is what they cost.
  size_t reasoning_tokens() const {
    size_t count = 0;
    for (const Json &item : items_)
      if (item["type"] == "reasoning")
        if (auto ids = model_.tokenizer->encode(item["content"][0]["text"].get<std::string>(), false); ids.ok())
          count += ids->size();
    return count;
  }
  Json usage_of(const Usage &usage) const {
    return Json{{"input_tokens", usage.prompt},
                {"input_tokens_details", {{"cached_tokens", usage.cached}}},
                {"output_tokens", usage.completion},
                {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens()}}},
                {"total_tokens", usage.prompt + usage.completion}};
  }
  Json response(const char *status) const {
    Json out;
    out["id"] = "resp_" + request_id_;
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
    out["parallel_tool_calls"] = asked_.parallel_tool_calls;
    out["previous_response_id"] = nullptr;
    out["reasoning"] = asked_.reasoning;
    out["store"] = false;
    out["temperature"] = asked_.temperature;
    out["text"] = Json{{"format", asked_.text_format}};
    out["tool_choice"] = asked_.tool_choice;
    out["tools"] = asked_.tools;
    out["top_p"] = asked_.top_p;
    out["truncation"] = "disabled";
    out["usage"] = nullptr;
    out["user"] = asked_.user;
    out["metadata"] = asked_.metadata;
    return out;
  }

  const Model &model_;
  std::string request_id_, name_, finish_;
  int64_t created_;
  int64_t sequence_ = 0;
  Asked asked_;
  ChatAnswer answer_;
  Json items_ = Json::array();
  bool open_ = false; // the last item goes on
};

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

void read_reasoning(FieldReader &fields, const Model &model, Json &variables) {
  const Json *reasoning = fields.value("reasoning", "object");
  if (!reasoning)
    return;
  FieldReader inner(*reasoning);
  read_effort(fields, model, "reasoning", inner.string("effort"), variables);
  inner.refuse({"summary", "generate_summary"}); // thoughts come as they are
  if (auto error = inner.finish())
    fields.fail("reasoning", error->message);
}

struct ResponseRequest {
  GenerationRequest generation;
  ChatReading reading;
  Asked asked;
};

// What the answer says of the request again.
void repeat(const FieldReader &fields, const Json &body, const GenerationParams &params, Asked &asked) {
  auto take = [&](const char *name, Json &to) {
    if (fields.has(name))
      to = body[name];
  };
  take("instructions", asked.instructions);
  take("max_output_tokens", asked.max_output_tokens);
  take("tools", asked.tools);
  take("tool_choice", asked.tool_choice);
  take("user", asked.user);
  take("reasoning", asked.reasoning);
  if (fields.has("metadata") && body["metadata"].is_object())
    asked.metadata = body["metadata"];
  if (fields.has("text") && body["text"].is_object() && body["text"].contains("format"))
    asked.text_format = body["text"]["format"];
  asked.temperature = params.sampling.temperature;
  asked.top_p = params.sampling.top_p;
}

ResponseRequest read_response(FieldReader &fields, const Model &model, ServerContext &context) {
  ResponseRequest out;
  GenerationRequest &request = out.generation;
  request.params = read_generation_params(fields, model, context);
  request.params.max_tokens = fields.integer("max_output_tokens", 1, INT32_MAX).value_or(-1);
  read_text(fields, request.params.shape);
  refuse_what_needs_a_store(fields);
  fields.refuse_unless("truncation", "disabled");
  fields.refuse_unless("include", Json::array());
  fields.refuse_unless("top_logprobs", 0);
  fields.refuse({"prompt", "max_tool_calls"});
  Json variables = Json::object();
  read_reasoning(fields, model, variables);
  if (request.params.n != 1 || request.params.best_of != 1)
    fields.fail("n", "is 1 here");
  Conversation turns = read_responses_conversation(fields);
  ToolRequest tools = tool_request(fields, turns.tools, turns.tool_choice, turns.parallel_calls,
                                   context.config.auto_tool_choice);
  out.asked.parallel_tool_calls = turns.parallel_calls;
  read_calls(fields, model, context.config, std::move(tools), out.reading, request.params);
  if (fields.failed())
    return out;
  std::string text = render_messages(fields, model, "input", std::move(turns.messages), std::move(turns.tools),
                                     variables);
  read_thoughts(model, context.config, text, out.reading, request.params);
  encode_prompt(fields, model, "input", text, false, request.prompts);
  return out;
}

} // namespace

void describe_responses(FieldReader &fields, const Model &model, ServerContext &context) {
  read_response(fields, model, context);
}

void handle_responses(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  ResponseRequest request = read_response(*body.fields, model, context);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  repeat(*body.fields, body.json, request.generation.params, request.asked);
  request.generation.format = std::make_shared<ResponseFormat>(model, context.model_name(model), http.request_id,
                                                               std::move(request.asked), request.reading);
  std::make_shared<Generation>(context, model, reply, std::move(request.generation))->start();
}

} // namespace llmrt::server
