#include "runtime/server/tool_calls.h"

#include "runtime/text/grammar/json_schema.h"
#include "runtime/text/grammar/text_until.h"

#include <algorithm>
#include <memory>

namespace llmrt::server {

namespace {

constexpr size_t kMaxTools = 512, kMaxName = 128;

bool good_name(const std::string &name) {
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
  });
}

bool read_tool(FieldReader &fields, const Json &given, Tool &tool) {
  FieldReader outer(given);
  std::string type = outer.string("type").value_or("");
  const Json *function = outer.value("function");
  if (auto error = outer.finish())
    return fields.fail("tools", error->message), false;
  if (type != "function" || !function || !function->is_object())
    return fields.fail("tools", "each must be {\"type\":\"function\",\"function\":{...}}"), false;
  FieldReader inner(*function);
  tool.name = inner.string("name").value_or("");
  inner.string("description");
  tool.strict = inner.boolean("strict").value_or(false);
  if (const Json *parameters = inner.value("parameters"))
    tool.parameters = *parameters;
  if (auto error = inner.finish())
    return fields.fail("tools", error->message), false;
  if (!good_name(tool.name))
    return fields.fail("tools", "a function's name has 1 to 128 letters, digits, _, - and ."), false;
  if (!tool.parameters.is_null() && !tool.parameters.is_object())
    return fields.fail("tools", tool.name + ": parameters must be a JSON schema"), false;
  return true;
}

// {"type":"function","function":{"name":...}}; empty: a mistake.
std::string named_function(const Json &choice) {
  if (!choice.is_object() || !choice.contains("type") || choice["type"] != "function" || !choice.contains("function"))
    return {};
  const Json &function = choice["function"];
  bool named = function.is_object() && function.contains("name") && function["name"].is_string();
  return named ? function["name"].get<std::string>() : std::string();
}

void read_choice(FieldReader &fields, const Json &choice, bool allow_auto, ToolRequest &out) {
  if (choice.is_null() || choice == "auto") {
    out.choice = out.tools.empty() || !allow_auto ? ToolChoice::kNone : ToolChoice::kAuto;
    if (!choice.is_null() && !allow_auto && !out.tools.empty())
      fields.fail("tool_choice", "auto is switched off by --no-enable-auto-tool-choice");
  } else if (choice == "none") {
    out.choice = ToolChoice::kNone;
  } else if (choice == "required") {
    out.choice = ToolChoice::kRequired;
  } else if (std::string name = named_function(choice); !name.empty()) {
    out.choice = ToolChoice::kNamed;
    std::erase_if(out.tools, [&](const Tool &tool) { return tool.name != name; });
    if (out.tools.empty())
      fields.fail("tool_choice", "names the function " + name.substr(0, kMaxName) + ", which is not among the tools");
  } else {
    fields.fail("tool_choice", "must be auto, none, required or {\"type\":\"function\",\"function\":{\"name\":...}}");
  }
  if (out.forced() && out.tools.empty())
    fields.fail("tool_choice", "needs tools to choose from");
}

// One call as the family writes it.
Result<grammar::NodeId> call_node(grammar::Grammar &out, const ToolRequest &request, ToolFormat format) {
  const char *arguments = format == ToolFormat::kLlama3 ? "\", \"parameters\": " : "\", \"arguments\": ";
  std::vector<grammar::NodeId> calls;
  for (const Tool &tool : request.tools) {
    Json schema = tool.parameters.is_null() ? Json{{"type", "object"}} : tool.parameters;
    if (!schema.contains("type") && !schema.contains("$ref") && !schema.contains("anyOf"))
      schema["type"] = "object";
    Result<grammar::NodeId> node = grammar::add_json_schema(out, schema);
    if (!node.ok())
      return Status(node.status().code(), "the parameters of " + tool.name + ": " + node.status().message());
    calls.push_back(out.sequence({out.literal("{\"name\": \"" + tool.name + arguments), *node, out.literal("}")}));
  }
  return out.shared("tool call", out.choice(calls));
}

grammar::NodeId calls_node(grammar::Grammar &out, grammar::NodeId call, bool parallel, ToolFormat format) {
  auto many = [&](const char *between) {
    grammar::NodeId more = out.repeat(out.sequence({out.literal(between), call}), 0, parallel ? 127 : 0);
    return out.sequence({call, more});
  };
  if (format == ToolFormat::kHermes)
    return out.sequence({out.literal("<tool_call>\n"), many("\n</tool_call>\n<tool_call>\n"), out.literal("\n</tool_call>")});
  if (format == ToolFormat::kLlama3)
    return many("; ");
  return out.sequence({out.literal("["), many(", "), out.literal("]")});
}

// Text that does not look like the start of a call.
grammar::NodeId plain_text(grammar::Grammar &out, ToolFormat format) {
  if (format == ToolFormat::kHermes)
    return grammar::text_without(out, "<tool_call>");
  grammar::CharSet call{{'{', '{'}, {'[', '['}}, space{{' ', ' '}, {'\t', '\r'}}, first = call;
  first.add(space);
  grammar::NodeId any = out.repeat(out.chars(grammar::CharSet().complement()), 0, grammar::kUnbounded);
  grammar::NodeId spaces = out.repeat(out.chars(space), 0, grammar::kUnbounded);
  return out.sequence({spaces, out.optional(out.sequence({out.chars(first.complement()), any}))});
}

Result<grammar::Grammar> tools_grammar(const ToolRequest &request, ToolFormat format) {
  grammar::Grammar out;
  grammar::RuleId root = out.add_rule("root");
  Result<grammar::NodeId> call = call_node(out, request, format);
  if (!call.ok())
    return call.status();
  bool parallel = request.parallel && request.choice != ToolChoice::kNamed;
  grammar::NodeId calls = calls_node(out, *call, parallel, format);
  if (!request.forced() && format == ToolFormat::kHermes)
    calls = out.sequence({plain_text(out, format), out.optional(calls)});
  else if (!request.forced())
    calls = out.choice({plain_text(out, format), calls});
  out.define(root, calls);
  out.set_root(root);
  return out;
}

std::string tools_key(const ToolRequest &request, ToolFormat format) {
  Json key{{"format", static_cast<int>(format)}, {"choice", static_cast<int>(request.choice)},
           {"parallel", request.parallel}, {"tools", Json::array()}};
  for (const Tool &tool : request.tools)
    key["tools"].push_back(Json::array({tool.name, tool.parameters}));
  return "tools:" + dump_json(key);
}

} // namespace

bool parse_tool_format(std::string_view name, ToolFormat &out) {
  static constexpr std::pair<std::string_view, ToolFormat> kNames[] = {{"hermes", ToolFormat::kHermes},
                                                                       {"llama3_json", ToolFormat::kLlama3},
                                                                       {"llama4_json", ToolFormat::kLlama3},
                                                                       {"mistral", ToolFormat::kMistral},
                                                                       {"json", ToolFormat::kJson}};
  for (const auto &[known, format] : kNames)
    if (known == name)
      return out = format, true;
  return false;
}

ToolFormat detect_tool_format(std::string_view chat_template) {
  auto has = [&](std::string_view what) { return chat_template.find(what) != std::string_view::npos; };
  if (has("<tool_call>"))
    return ToolFormat::kHermes;
  if (has("[TOOL_CALLS]"))
    return ToolFormat::kMistral;
  return has("<|python_tag|>") || has("\"parameters\": ") ? ToolFormat::kLlama3 : ToolFormat::kJson;
}

ToolRequest read_tools(FieldReader &fields, bool allow_auto) {
  const Json *tools = fields.value("tools", "array"), *choice = fields.value("tool_choice");
  bool parallel = fields.boolean("parallel_tool_calls").value_or(true);
  return tool_request(fields, tools ? *tools : Json::array(), choice ? *choice : Json(nullptr), parallel, allow_auto);
}

ToolRequest tool_request(FieldReader &fields, const Json &tools, const Json &choice, bool parallel, bool allow_auto) {
  ToolRequest out;
  out.parallel = parallel;
  if (!tools.is_array() || tools.size() > kMaxTools) {
    fields.fail("tools", "must be a list of at most " + std::to_string(kMaxTools) + " tools");
    return out;
  }
  for (const Json &given : tools) {
    Tool tool;
    if (!read_tool(fields, given, tool))
      return out;
    out.tools.push_back(std::move(tool));
  }
  read_choice(fields, choice, allow_auto, out);
  return out;
}

TextShape shape_with_tools(FieldReader &fields, TextShape shape, const ToolRequest &request, ToolFormat format) {
  bool strict = request.parse() &&
                std::any_of(request.tools.begin(), request.tools.end(), [](const Tool &tool) { return tool.strict; });
  if (!request.forced() && !strict)
    return shape;
  if (!shape.any()) {
    fields.fail(shape.field, "does not go together with a tool call that must be made or strict tools");
    return shape;
  }
  if (!request.forced() && format == ToolFormat::kMistral) {
    fields.fail("tools", "strict is not supported with tool_choice auto in Mistral's format, whose calls start with a "
                         "special token; use required or a named function");
    return shape;
  }
  TextShape out{"tools", tools_key(request, format), nullptr};
  out.make = [request, format] { return tools_grammar(request, format); };
  return out;
}

void open_arguments(Json &messages) {
  for (Json &message : messages) {
    if (!message.is_object() || !message.contains("tool_calls") || !message["tool_calls"].is_array())
      continue;
    for (Json &call : message["tool_calls"]) {
      if (!call.is_object() || !call.contains("function") || !call["function"].is_object() ||
          !call["function"].contains("arguments") || !call["function"]["arguments"].is_string())
        continue;
      Json &arguments = call["function"]["arguments"];
      Result<Json> opened = parse_json(arguments.get_ref<const std::string &>());
      if (opened.ok() && opened->is_object())
        arguments = std::move(*opened);
    }
  }
}

} // namespace llmrt::server
