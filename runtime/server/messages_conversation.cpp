// Anthropic's blocks (https://docs.anthropic.com/en/api/messages): a turn of the user may bring results of calls, which
// are messages of their own in a chat completion; a turn of the assistant may hold thoughts and calls.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/conversation.h"

namespace llmrt::server {

namespace {

std::string text_field(const Json &block, const char *name) {
  return block.contains(name) && block[name].is_string() ? block[name].get<std::string>() : std::string();
}

void add_line(std::string &text, const std::string &line) {
  if (!text.empty())
    text += '\n';
  text += line;
}

// {"type":"tool_result","tool_use_id","content","is_error"}; a failed call's text says so, since templates cannot.
bool read_result(const Json &block, Json &messages) {
  std::string id = text_field(block, "tool_use_id"), text;
  if (id.empty() || (block.contains("content") && !text_of_parts(block["content"], {"text"}, text)))
    return false;
  if (block.contains("is_error") && block["is_error"] == true)
    text.insert(0, "Error: ");
  messages.push_back(Json{{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(text)}});
  return true;
}

bool read_user_blocks(const Json &blocks, Json &messages) {
  std::string text;
  bool said = false;
  auto say = [&] {
    if (said)
      messages.push_back(Json{{"role", "user"}, {"content", text}});
    text.clear();
    said = false;
  };
  for (const Json &block : blocks) {
    std::string type = block.is_object() ? text_field(block, "type") : std::string();
    if (type == "text" && block.contains("text") && block["text"].is_string()) {
      add_line(text, block["text"].get<std::string>());
      said = true;
      continue;
    }
    say();
    if (type != "tool_result" || !read_result(block, messages))
      return false;
  }
  say();
  return true;
}

bool read_assistant_blocks(const Json &blocks, Json &messages) {
  Json message{{"role", "assistant"}, {"content", ""}};
  std::string text, thoughts;
  for (const Json &block : blocks) {
    std::string type = block.is_object() ? text_field(block, "type") : std::string();
    if (type == "text" && block.contains("text") && block["text"].is_string()) {
      add_line(text, block["text"].get<std::string>());
    } else if (type == "thinking") {
      add_line(thoughts, text_field(block, "thinking"));
    } else if (type == "tool_use" && !text_field(block, "id").empty() && !text_field(block, "name").empty() &&
               block.contains("input") && block["input"].is_object()) {
      message["tool_calls"].push_back(
          Json{{"id", block["id"]},
               {"type", "function"},
               {"function", {{"name", block["name"]}, {"arguments", block["input"]}}}});
    } else {
      return false;
    }
  }
  message["content"] = std::move(text);
  if (!thoughts.empty())
    message["reasoning_content"] = std::move(thoughts);
  messages.push_back(std::move(message));
  return true;
}

bool read_message(const Json &message, Json &messages) {
  if (!message.is_object() || !message.contains("role") || !message.contains("content"))
    return false;
  const Json &role = message["role"], &content = message["content"];
  if (role != "user" && role != "assistant")
    return false;
  if (content.is_string()) {
    messages.push_back(Json{{"role", role}, {"content", content}});
    return true;
  }
  if (!content.is_array())
    return false;
  return role == "user" ? read_user_blocks(content, messages) : read_assistant_blocks(content, messages);
}

// {"name","description","input_schema","strict"} as OpenAI's function.
Json read_tool(FieldReader &fields, const Json &given) {
  FieldReader inner(given);
  Json function;
  std::string type = inner.string("type").value_or("custom");
  function["name"] = inner.string("name").value_or("");
  if (auto description = inner.string("description"))
    function["description"] = *description;
  if (const Json *schema = inner.value("input_schema"))
    function["parameters"] = *schema;
  if (auto strict = inner.boolean("strict"))
    function["strict"] = *strict;
  inner.ignore({"cache_control"});
  if (auto error = inner.finish())
    fields.fail("tools", error->message);
  else if (type != "custom")
    fields.fail("tools", "are the client's own here; there is none of the type " + type.substr(0, 64));
  else if (!function.contains("parameters"))
    fields.fail("tools", "each needs an input_schema");
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

// {"type": auto, any, tool or none, "name", "disable_parallel_tool_use"}
void read_choice(FieldReader &fields, const Json &given, Conversation &out) {
  FieldReader inner(given);
  std::string type = inner.string("type").value_or(""), name = inner.string("name").value_or("");
  out.parallel_calls = !inner.boolean("disable_parallel_tool_use").value_or(false);
  if (auto error = inner.finish())
    fields.fail("tool_choice", error->message);
  else if (type == "auto" || type == "none")
    out.tool_choice = type;
  else if (type == "any")
    out.tool_choice = "required";
  else if (type == "tool" && !name.empty())
    out.tool_choice = Json{{"type", "function"}, {"function", {{"name", name}}}};
  else
    fields.fail("tool_choice", "must be {\"type\": auto, any, none, or tool with a name}");
}

} // namespace

Conversation read_messages_conversation(FieldReader &fields) {
  Conversation out;
  std::string text;
  if (const Json *system = fields.value("system", "any")) {
    if (!text_of_parts(*system, {"text"}, text))
      fields.fail("system", "must be a string or a list of text blocks");
    out.messages.push_back(Json{{"role", "system"}, {"content", text}});
  }
  const Json *messages = fields.value("messages", "array"), *tools = fields.value("tools", "array");
  if (const Json *choice = fields.value("tool_choice", "object"))
    read_choice(fields, *choice, out);
  if (tools && !tools->is_array())
    fields.fail("tools", "must be a list");
  for (size_t i = 0; tools && tools->is_array() && i < tools->size(); ++i)
    out.tools.push_back(read_tool(fields, (*tools)[i]));
  if (!messages || !messages->is_array() || messages->empty()) {
    fields.fail("messages", "must be a list with at least one message");
    return out;
  }
  for (size_t i = 0; i < messages->size() && !fields.failed(); ++i)
    if (!read_message((*messages)[i], out.messages))
      fields.fail("messages", "message " + std::to_string(i) + " must have the role user or assistant and content that "
                              "is a string, or blocks of text, thinking, tool_use and tool_result");
  return out;
}

} // namespace llmrt::server
