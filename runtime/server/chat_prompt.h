// A chat's messages to the text that its model was trained on.
#pragma once

#include "runtime/server/fields.h"
#include "runtime/session/model.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

// Reads messages, tools and the template's options and renders them; mistakes are kept by the reader.
std::string read_chat_prompt(FieldReader &fields, const Model &model);

// A template's variable of that name, where the client says one; a mistake where the template does not look at it.
void read_effort(FieldReader &fields, const Model &model, const char *field, const std::optional<std::string> &effort,
                 Json &variables);

// `messages`, with string contents, and `tools` (none: an empty list), both as a chat completion has them, rendered with
// a generation prompt, for endpoints that spell them their own way. `extra`: more of the template's variables. Mistakes
// are kept under `field`.
std::string render_messages(FieldReader &fields, const Model &model, const char *field, Json messages, Json tools,
                            const Json &extra = Json::object());

// One text prompt to ids; false: the reader has the reason, or had one before.
bool encode_prompt(FieldReader &fields, const Model &model, const char *field, const std::string &text,
                   bool add_special, std::vector<std::vector<int32_t>> &prompts);

// A string, a list of strings, a list of ids, or a list of lists of ids: at most `most` prompts. add_special_tokens is
// read too.
void read_prompts(FieldReader &fields, const Model &model, const char *field, size_t most,
                  std::vector<std::vector<int32_t>> &prompts);

// A string, or a list of parts {"type": one of `types`, "text"}: its text, a line each part. False: it is neither.
bool text_of_parts(const Json &content, std::initializer_list<std::string_view> types, std::string &text);

} // namespace llmrt::server
