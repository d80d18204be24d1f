// Thoughts that a model writes before its answer, between <think> and </think> (DeepSeek-R1, Qwen3 and others).
#pragma once

#include "runtime/server/text_shape.h"

#include <string>
#include <string_view>

namespace llmrt::server {

// vLLM's parsers by what they take for thoughts. kTagged (qwen3): what stands in the tags. kLeading (deepseek_r1): all
// up to </think>, with or without the opening tag.
enum class ReasoningParser { kNone, kTagged, kLeading };

// "" and names that vLLM has; false: not known here.
bool parse_reasoning_parser(std::string_view name, ReasoningParser &out);
// By a chat template's source.
ReasoningParser detect_reasoning(std::string_view chat_template);

// Where the answer starts, by the text it goes on from.
enum class ThoughtState { kBefore, kInside, kAfter };
ThoughtState thought_state(ReasoningParser parser, std::string_view prompt);

// Splits a stream; every byte of it but the tags, and line breaks after the last, comes out once.
class ReasoningSplitter {
public:
  explicit ReasoningSplitter(ThoughtState state) : state_(state) {}
  void push(std::string_view text, std::string &reasoning, std::string &content);
  void finish(std::string &reasoning, std::string &content);

private:
  bool before();
  ThoughtState state_;
  bool at_content_start_ = false;
  std::string held_;
};

// The shape holds for what comes after the thoughts.
TextShape after_thoughts(TextShape shape, ThoughtState state);

} // namespace llmrt::server
