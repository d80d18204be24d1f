// OpenAI's items (https://platform.openai.com/docs/api-reference/responses): thoughts, calls and their results stand
// beside messages; in a chat completion thoughts and calls are parts of the assistant's.
#include "runtime/server/chat_prompt.h"
#include "runtime/server/conversation.h"

namespace llmrt::server {

namespace {

std::string text_field(const Json &item, const char *name) {
  return item.contains(name) && item[name].is_string() ? item[name].get<std::string>() : std::string();
}

class ItemReader {
public:
  explicit ItemReader(Json &messages) : messages_(messages) {}

  bool read(const Json &item) {
    if (!item.is_object())
      return false;
    std::string type = item.contains("type") ? text_field(item, "type") : "message";
    if (type == "message")
      return read_message(item);
    if (type == "reasoning")
      return read_reasoning(item);
    return type == "function_call" ? read_call(item) : type == "function_call_output" && read_output(item);
  }

private:
  bool read_message(const Json &item) {
    std::string role = text_field(item, "role"), text;
    if (role != "user" && role != "assistant" && role != "system" && role != "developer")
      return false;
    if (!item.contains("content") || !text_of_parts(item["content"], {"input_text", "output_text", "text"}, text))
      return false;
    if (role == "assistant") {
      assistant()["content"] = std::move(text);
      return true;
    }
    messages_.push_back(Json{{"role", role == "developer" ? "system" : role}, {"content", std::move(text)}});
    return true;
  }

  // Summaries and what is encrypted tell this model nothing.
  bool read_reasoning(const Json &item) {
    std::string text;
    if (item.contains("content") && !item["content"].is_null() &&
        !text_of_parts(item["content"], {"reasoning_text"}, text))
      return false;
    if (!text.empty())
      add_assistant()["reasoning_content"] = std::move(text);
    return true;
  }

  bool read_call(const Json &item) {
    std::string id = text_field(item, "call_id"), name = text_field(item, "name");
    if (id.empty() || name.empty() || !item.contains("arguments") || !item["arguments"].is_string())
      return false;
    Json &message = messages_.empty() || messages_.back()["role"] != "assistant" ? add_assistant() : messages_.back();
    message["tool_calls"].push_back(
        Json{{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", item["arguments"]}}}});
    return true;
  }

  bool read_output(const Json &item) {
    std::string id = text_field(item, "call_id"), text;
    if (id.empty() || !item.contains("output") ||
        !text_of_parts(item["output"], {"input_text", "output_text", "text"}, text))
      return false;
    messages_.push_back(Json{{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(text)}});
    return true;
  }

  Json &add_assistant() {
    messages_.push_back(Json{{"role", "assistant"}, {"content", ""}});
    return messages_.back();
  }
  // One for a text: the last message if that holds thoughts alone.
  Json &assistant() {
    bool goes_on = !messages_.empty() && messages_.back()["role"] == "assistant" && messages_.back()["content"] == "" &&
                   !messages_.back().contains("tool_calls");
    return goes_on ? messages_.back() : add_assistant();
  }

  Json &messages_;
};

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
  ItemReader reader(messages);
  for (size_t i = 0; i < input->size(); ++i)
    if (!reader.read((*input)[i]))
      return fields.fail("input", "item " + std::to_string(i) + " is not one that this server takes: a message of text "
                                  "from user, assistant, system or developer, reasoning, function_call or "
                                  "function_call_output");
}

// {"type":"function","name","description","parameters","strict"}; OpenAI's default for strict is true, but most models'
// tools are not written for it: it is what the client says.
Json read_tool(FieldReader &fields, const Json &given) {
  FieldReader inner(given);
  Json function;
  std::string type = inner.string("type").value_or("");
  function["name"] = inner.string("name").value_or("");
  if (auto description = inner.string("description"))
    function["description"] = *description;
  if (const Json *parameters = inner.value("parameters"))
    function["parameters"] = *parameters;
  if (auto strict = inner.boolean("strict"))
    function["strict"] = *strict;
  if (type != "function")
    fields.fail("tools", "are functions here; there is no tool of the type " + type.substr(0, 64));
  else if (auto error = inner.finish())
    fields.fail("tools", error->message);
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

} // namespace

Conversation read_responses_conversation(FieldReader &fields) {
  Conversation out;
  if (auto instructions = fields.string("instructions"))
    out.messages.push_back(Json{{"role", "system"}, {"content", *instructions}});
  read_input(fields, out.messages);
  const Json *tools = fields.value("tools", "array"), *choice = fields.value("tool_choice");
  out.parallel_calls = fields.boolean("parallel_tool_calls").value_or(true);
  if (tools && !tools->is_array())
    fields.fail("tools", "must be a list");
  for (size_t i = 0; tools && tools->is_array() && i < tools->size(); ++i)
    out.tools.push_back(read_tool(fields, (*tools)[i]));
  if (!choice)
    return out;
  out.tool_choice = *choice;
  if (choice->is_object() && choice->value("type", Json()) == "function" && choice->contains("name"))
    out.tool_choice = Json{{"type", "function"}, {"function", {{"name", (*choice)["name"]}}}};
  return out;
}

} // namespace llmrt::server
