#include "runtime/server/chat_prompt.h"

#include "runtime/server/tool_calls.h"

namespace llmrt::server {

namespace {

std::string_view strip(std::string_view text, bool left, bool right) {
  static constexpr std::string_view kSpace = " \t\n\r\f\v";
  while (left && !text.empty() && kSpace.find(text.front()) != kSpace.npos)
    text.remove_prefix(1);
  while (right && !text.empty() && kSpace.find(text.back()) != kSpace.npos)
    text.remove_suffix(1);
  return text;
}

Json read_messages(FieldReader &fields) {
  const Json *messages = fields.value("messages");
  if (!messages || !messages->is_array() || messages->empty()) {
    fields.fail("messages", "must be a list with at least one message");
    return nullptr;
  }
  Json out = *messages;
  for (size_t i = 0; i < out.size(); ++i) {
    Json &message = out[i];
    std::string where = "message " + std::to_string(i);
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
      fields.fail("messages", where + " must be an object with a role");
      return nullptr;
    }
    if (!message.contains("content"))
      message["content"] = nullptr;
    Json &content = message["content"];
    std::string text;
    if (content.is_array()) {
      if (!text_of_parts(content, {"text"}, text)) {
        fields.fail("messages", where + ": only parts {\"type\":\"text\",\"text\":...} are supported by this model");
        return nullptr;
      }
      content = std::move(text);
    }
    bool may_lack = message.contains("tool_calls");
    if (!content.is_string() && !(content.is_null() && may_lack)) {
      fields.fail("messages", where + ": content must be a string or a list of parts");
      return nullptr;
    }
  }
  open_arguments(out);
  return out;
}

// Ends the text where the final message ends, as transformers does.
void cut_after_final_message(FieldReader &fields, const Json &messages, std::string &text) {
  const Json &content = messages.back()["content"];
  std::string last = content.is_string() ? content.get<std::string>() : std::string();
  std::string_view core = strip(last, true, true);
  size_t at = core.empty() ? std::string::npos : text.rfind(core);
  if (at == std::string::npos)
    return fields.fail("continue_final_message", "the final message does not appear in the rendered chat as it is");
  std::string_view tail = strip(last, true, false);
  bool whole = std::string_view(text).substr(at, tail.size()) == tail;
  text.resize(at + (whole ? tail.size() : core.size()));
}

} // namespace

std::string read_chat_prompt(FieldReader &fields, const Model &model) {
  Json variables = Json::object();
  Json messages = read_messages(fields);
  bool add_prompt = fields.boolean("add_generation_prompt").value_or(true);
  bool resume = fields.boolean("continue_final_message").value_or(false);
  const Json *tools = fields.value("tools"), *documents = fields.value("documents");
  const Json *extra = fields.value("chat_template_kwargs");
  Json effort = Json::object();
  read_effort(fields, model, "reasoning_effort", fields.string("reasoning_effort"), effort);
  fields.refuse({"chat_template"});
  if (tools && !tools->is_array())
    fields.fail("tools", "must be a list");
  if (documents && !documents->is_array())
    fields.fail("documents", "must be a list");
  if (extra && !extra->is_object())
    fields.fail("chat_template_kwargs", "must be an object");
  if (resume && add_prompt && fields.value("add_generation_prompt"))
    fields.fail("continue_final_message", "and add_generation_prompt cannot both be true");
  if (Status status = model.need_chat_template(); !status.ok())
    fields.fail("messages", status.message());
  if (fields.failed())
    return {};
  variables["messages"] = messages;
  variables["tools"] = tools && !tools->empty() ? *tools : Json(nullptr);
  if (documents)
    variables["documents"] = *documents;
  variables.update(effort);
  variables["add_generation_prompt"] = add_prompt && !resume;
  if (extra)
    for (auto it = extra->begin(); it != extra->end(); ++it)
      variables[it.key()] = it.value();
  Result<std::string> text = model.render_chat(variables);
  if (!text.ok()) {
    fields.fail("messages", text.status().message());
    return {};
  }
  if (resume)
    cut_after_final_message(fields, messages, *text);
  return std::move(*text);
}

void read_effort(FieldReader &fields, const Model &model, const char *field, const std::optional<std::string> &effort,
                 Json &variables) {
  if (!effort)
    return;
  if (model.chat_template_source.find("reasoning_effort") == std::string::npos)
    return fields.fail(field, "reasoning_effort is nothing that this model's chat template looks at");
  variables["reasoning_effort"] = *effort;
}

std::string render_messages(FieldReader &fields, const Model &model, const char *field, Json messages, Json tools,
                            const Json &extra) {
  if (Status status = model.need_chat_template(); !status.ok())
    fields.fail(field, status.message());
  if (fields.failed())
    return {};
  Json variables = extra;
  open_arguments(messages);
  variables["messages"] = std::move(messages);
  variables["tools"] = tools.empty() ? Json(nullptr) : std::move(tools);
  variables["add_generation_prompt"] = true;
  Result<std::string> text = model.render_chat(variables);
  if (text.ok())
    return std::move(*text);
  fields.fail(field, text.status().message());
  return {};
}

bool encode_prompt(FieldReader &fields, const Model &model, const char *field, const std::string &text,
                   bool add_special, std::vector<std::vector<int32_t>> &prompts) {
  if (fields.failed())
    return false;
  if (Status status = model.need_tokenizer(); !status.ok()) {
    fields.fail(field, status.message());
    return false;
  }
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(text, add_special);
  if (!ids.ok()) {
    fields.fail(field, ids.status().message());
    return false;
  }
  prompts.push_back(std::move(*ids));
  return true;
}

void read_prompts(FieldReader &fields, const Model &model, const char *field, size_t most,
                  std::vector<std::vector<int32_t>> &prompts) {
  bool add_special = fields.boolean("add_special_tokens").value_or(true);
  const Json *prompt = fields.value(field);
  static constexpr const char *kForms = "must be a string, a list of strings, or a list (of lists) of token ids";
  if (!prompt)
    return fields.fail(field, "is missing");
  if (prompt->is_string()) {
    encode_prompt(fields, model, field, prompt->get_ref<const std::string &>(), add_special, prompts);
    return;
  }
  if (!prompt->is_array() || prompt->empty())
    return fields.fail(field, kForms);
  std::vector<int32_t> ids;
  if (json_to_ids(*prompt, ids)) {
    prompts.push_back(std::move(ids));
    return;
  }
  if (prompt->size() > most)
    return fields.fail(field, "has more than the " + std::to_string(most) + " elements that a request may bring");
  bool strings = prompt->front().is_string();
  for (const Json &element : *prompt) {
    if (element.is_string() != strings || (!strings && !json_to_ids(element, ids)))
      return fields.fail(field, kForms);
    if (!strings)
      prompts.push_back(ids);
    else if (!encode_prompt(fields, model, field, element.get_ref<const std::string &>(), add_special, prompts))
      return;
  }
}

// Parts become lines, as vLLM does for templates that take strings.
bool text_of_parts(const Json &content, std::initializer_list<std::string_view> types, std::string &text) {
  text.clear();
  if (content.is_string()) {
    text = content.get_ref<const std::string &>();
    return true;
  }
  if (!content.is_array())
    return false;
  for (const Json &part : content) {
    bool known = false;
    if (part.is_object() && part.contains("type") && part["type"].is_string() && part.contains("text") &&
        part["text"].is_string())
      for (std::string_view type : types)
        known |= part["type"].get_ref<const std::string &>() == type;
    if (!known)
      return false;
    if (!text.empty())
      text += '\n';
    text += part["text"].get_ref<const std::string &>();
  }
  return true;
}

} // namespace llmrt::server
