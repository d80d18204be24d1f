// Conversations as Anthropic's messages and OpenAI's responses spell them, turned into those of a chat completion.
#pragma once

#include "runtime/server/fields.h"

namespace llmrt::server {

// What a chat completion would have been asked.
struct Conversation {
  Json messages = Json::array(); // contents are strings; a call's arguments are an object, or text if they are none
  Json tools = Json::array();    // {"type":"function","function":{...}}
  Json tool_choice;              // null: not said
  bool parallel_calls = true;
};

// system, messages, tools, tool_choice. Blocks of text, thinking, tool_use and tool_result.
Conversation read_messages_conversation(FieldReader &fields);

// instructions, input, tools, tool_choice, parallel_tool_calls. Items of text, reasoning, function_call and
// function_call_output.
Conversation read_responses_conversation(FieldReader &fields);

} // namespace llmrt::server
