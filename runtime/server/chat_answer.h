// One choice of a chat as it comes: thoughts, then text, then calls of tools.
#pragma once

#include "runtime/server/generation_params.h"
#include "runtime/server/reasoning.h"
#include "runtime/server/tool_parser.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

// How the answers of a request are to be read.
struct ChatReading {
  ThoughtState thoughts = ThoughtState::kAfter;
  bool keep_thoughts = true; // include_reasoning
  ToolRequest tools;
  ToolFormat format = ToolFormat::kJson;
};

// Takes the tools that may be called into the reading and into what the answer's text may be.
void read_calls(FieldReader &fields, const Model &model, const ServerConfig &config, ToolRequest tools,
                ChatReading &reading, GenerationParams &params);
// The server's, or by the template.
ReasoningParser reasoning_parser(const Model &model, const ServerConfig &config);
// Whether thoughts come first, which the end of the prompt's text has a part in.
void read_thoughts(const Model &model, const ServerConfig &config, const std::string &prompt, ChatReading &reading,
                   GenerationParams &params);

struct ChatDelta {
  std::string reasoning, content;
  std::vector<ToolCallDelta> calls;
};

class ChatAnswer {
public:
  ChatAnswer(const ChatReading &reading, const std::string &seed);
  // `last`: no more text comes.
  ChatDelta push(std::string_view text, bool last);
  bool has_calls() const { return parser_ && parser_->any(); }

private:
  const bool keep_thoughts_;
  ReasoningSplitter splitter_;
  std::optional<ToolParser> parser_;
};

// {"role","content"} and, where there are any, reasoning_content and tool_calls.
Json message_of(const ChatDelta &delta);
// The same for a stream's chunk; an empty object: nothing new.
Json chunk_of(const ChatDelta &delta);

} // namespace llmrt::server
