#include "runtime/server/chat_answer.h"

namespace llmrt::server {

void read_calls(FieldReader &fields, const Model &model, const ServerConfig &config, ToolRequest tools,
                ChatReading &reading, GenerationParams &params) {
  reading.tools = std::move(tools);
  reading.format = detect_tool_format(model.chat_template_source);
  if (!config.tool_call_parser.empty())
    parse_tool_format(config.tool_call_parser, reading.format);
  params.shape = shape_with_tools(fields, std::move(params.shape), reading.tools, reading.format);
  bool special_marks = reading.format == ToolFormat::kMistral || reading.format == ToolFormat::kLlama3;
  if (reading.tools.choice == ToolChoice::kAuto && special_marks)
    params.text.skip_special = false; // calls start with one
}

ReasoningParser reasoning_parser(const Model &model, const ServerConfig &config) {
  ReasoningParser parser = detect_reasoning(model.chat_template_source);
  if (!config.reasoning_parser.empty())
    parse_reasoning_parser(config.reasoning_parser, parser);
  return parser;
}

void read_thoughts(const Model &model, const ServerConfig &config, const std::string &prompt, ChatReading &reading,
                   GenerationParams &params) {
  reading.thoughts = thought_state(reasoning_parser(model, config), prompt);
  params.shape = after_thoughts(std::move(params.shape), reading.thoughts);
}

ChatAnswer::ChatAnswer(const ChatReading &reading, const std::string &seed)
    : keep_thoughts_(reading.keep_thoughts), splitter_(reading.thoughts) {
  if (reading.tools.parse())
    parser_.emplace(reading.format, reading.tools.forced(), seed);
}

ChatDelta ChatAnswer::push(std::string_view text, bool last) {
  ChatDelta out;
  std::string content;
  splitter_.push(text, out.reasoning, content);
  if (last)
    splitter_.finish(out.reasoning, content);
  if (!keep_thoughts_)
    out.reasoning.clear();
  if (!parser_) {
    out.content = std::move(content);
    return out;
  }
  parser_->push(content, out.content, out.calls);
  if (last)
    parser_->finish(out.content, out.calls);
  return out;
}

Json message_of(const ChatDelta &delta) {
  Json out{{"role", "assistant"}, {"content", delta.content}, {"refusal", nullptr}};
  if (!delta.reasoning.empty())
    out["reasoning_content"] = delta.reasoning;
  if (delta.calls.empty())
    return out;
  if (delta.content.empty())
    out["content"] = nullptr;
  Json &calls = out["tool_calls"] = Json::array();
  for (const ToolCallDelta &call : delta.calls) {
    if (!call.id.empty())
      calls.push_back(Json{
          {"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", ""}}}});
    Json &arguments = calls.back()["function"]["arguments"];
    arguments = arguments.get<std::string>() + call.arguments;
  }
  return out;
}

Json chunk_of(const ChatDelta &delta) {
  Json out = Json::object();
  if (!delta.reasoning.empty())
    out["reasoning_content"] = delta.reasoning;
  if (!delta.content.empty())
    out["content"] = delta.content;
  for (const ToolCallDelta &call : delta.calls) {
    Json &calls = out["tool_calls"];
    Json *last = calls.is_array() && calls.back()["index"] == call.index && call.id.empty() ? &calls.back() : nullptr;
    if (last) {
      Json &arguments = (*last)["function"]["arguments"];
      arguments = arguments.get<std::string>() + call.arguments;
      continue;
    }
    Json one{{"index", call.index}};
    if (!call.id.empty()) {
      one["id"] = call.id;
      one["type"] = "function";
      one["function"] = Json{{"name", call.name}, {"arguments", call.arguments}};
    } else {
      one["function"] = Json{{"arguments", call.arguments}};
    }
    calls.push_back(std::move(one));
  }
  return out;
}

} // namespace llmrt::server
