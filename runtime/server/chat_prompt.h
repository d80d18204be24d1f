// A chat's messages to the text that its model was trained on.
#pragma once

#include "runtime/server/fields.h"
#include "runtime/session/model.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

// Reads messages, tools and the template's options and renders them; mistakes are kept by the reader.
std::string read_chat_prompt(FieldReader &fields, const Model &model);

// `messages`, with string contents, rendered with a generation prompt, for endpoints that spell messages their own way.
// Mistakes are kept under `field`.
std::string render_messages(FieldReader &fields, const Model &model, const char *field, Json messages);

// One text prompt to ids; false: the reader has the reason, or had one before.
bool encode_prompt(FieldReader &fields, const Model &model, const char *field, const std::string &text,
                   bool add_special, std::vector<std::vector<int32_t>> &prompts);

// A string, or a list of parts {"type": one of `types`, "text"}: its text, a line each part. False: it is neither.
bool text_of_parts(const Json &content, std::initializer_list<std::string_view> types, std::string &text);

} // namespace llmrt::server
