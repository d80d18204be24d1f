// A chat's messages to the text that its model was trained on.
#pragma once

#include "runtime/server/fields.h"
#include "runtime/session/model.h"

#include <string>

namespace llmrt::server {

// Reads messages, tools and the template's options and renders them; mistakes are kept by the reader.
std::string read_chat_prompt(FieldReader &fields, const Model &model);

} // namespace llmrt::server
