// Tools that a chat's model may call: what the client says of them, and how a model's family writes a call.
#pragma once

#include "runtime/server/reasoning.h"
#include "runtime/server/text_shape.h"

#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

// kHermes: <tool_call>{"name", "arguments"}</tool_call> (Hermes, Qwen). kLlama3: {"name", "parameters"}, after
// <|python_tag|> or not. kMistral: [TOOL_CALLS][{"name", "arguments"}] or [TOOL_CALLS]name[ARGS]{...}. kJson: an object
// or a list of objects.
enum class ToolFormat { kHermes, kLlama3, kMistral, kJson };

// vLLM's names (hermes, llama3_json, mistral) and json; false: not known here.
bool parse_tool_format(std::string_view name, ToolFormat &out);
// By a chat template's source.
ToolFormat detect_tool_format(std::string_view chat_template);

enum class ToolChoice { kNone, kAuto, kRequired, kNamed };

struct Tool {
  std::string name;
  Json parameters; // a schema; null: any object
  bool strict = false;
};

struct ToolRequest {
  std::vector<Tool> tools; // those that may be called
  ToolChoice choice = ToolChoice::kNone;
  bool parallel = true;
  bool parse() const { return choice != ToolChoice::kNone; }
  bool forced() const { return choice == ToolChoice::kRequired || choice == ToolChoice::kNamed; }
};

// tools, tool_choice, parallel_tool_calls. `allow_auto`: of the server.
ToolRequest read_tools(FieldReader &fields, bool allow_auto);

// The same, where an endpoint spells them its own way: `tools` and `choice` as a chat completion has them.
ToolRequest tool_request(FieldReader &fields, const Json &tools, const Json &choice, bool parallel, bool allow_auto);

// What the answer may be: calls alone where they are forced; with `strict` tools text, or calls under their schemas.
// Otherwise `shape` as it is; a mistake where both say something.
TextShape shape_with_tools(FieldReader &fields, TextShape shape, const ToolRequest &request, ToolFormat format);

// Templates take a call's arguments as an object; OpenAI's clients send them as JSON text.
void open_arguments(Json &messages);

} // namespace llmrt::server
