#include "runtime/server/reasoning.h"

#include "runtime/text/grammar/text_until.h"

#include <algorithm>

namespace llmrt::server {

namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kSpace = " \t\r\n";

// How many bytes at the end of `text` may be the start of `tag`.
size_t held_back(std::string_view text, std::string_view tag) {
  for (size_t length = std::min(text.size(), tag.size() - 1); length > 0; --length)
    if (text.ends_with(tag.substr(0, length)))
      return length;
  return 0;
}

} // namespace

bool parse_reasoning_parser(std::string_view name, ReasoningParser &out) {
  if (name == "deepseek_r1")
    out = ReasoningParser::kLeading;
  else if (name == "qwen3")
    out = ReasoningParser::kTagged;
  else if (name.empty() || name == "none")
    out = ReasoningParser::kNone;
  else
    return false;
  return true;
}

ReasoningParser detect_reasoning(std::string_view chat_template) {
  return chat_template.find(kClose) != std::string_view::npos ? ReasoningParser::kTagged : ReasoningParser::kNone;
}

ThoughtState thought_state(ReasoningParser parser, std::string_view prompt) {
  while (!prompt.empty() && kSpace.find(prompt.back()) != kSpace.npos)
    prompt.remove_suffix(1);
  if (parser == ReasoningParser::kNone || prompt.ends_with(kClose))
    return ThoughtState::kAfter;
  bool inside = prompt.ends_with(kOpen) || parser == ReasoningParser::kLeading;
  return inside ? ThoughtState::kInside : ThoughtState::kBefore;
}

// Is this text thoughts or not? False: too early to say.
bool ReasoningSplitter::before() {
  size_t start = held_.find_first_not_of(kSpace);
  if (start == std::string::npos)
    return false;
  std::string_view rest = std::string_view(held_).substr(start, kOpen.size());
  if (rest.size() < kOpen.size() && kOpen.starts_with(rest))
    return false;
  bool opens = rest == kOpen;
  if (opens)
    held_.erase(0, start + kOpen.size());
  state_ = opens ? ThoughtState::kInside : ThoughtState::kAfter;
  return true;
}

void ReasoningSplitter::push(std::string_view text, std::string &reasoning, std::string &content) {
  held_ += text;
  if (state_ == ThoughtState::kBefore && !before())
    return;
  if (state_ == ThoughtState::kInside) {
    if (held_.starts_with(kOpen)) // deepseek_r1: with or without it
      held_.erase(0, kOpen.size());
    size_t close = held_.find(kClose);
    size_t said = close != std::string::npos ? close : held_.size() - held_back(held_, kClose);
    if (held_.size() < kOpen.size() && kOpen.starts_with(held_))
      said = 0;
    reasoning.append(held_, 0, said);
    held_.erase(0, said);
    if (close == std::string::npos)
      return;
    held_.erase(0, kClose.size());
    state_ = ThoughtState::kAfter;
    at_content_start_ = true;
  }
  if (at_content_start_) {
    held_.erase(0, std::min(held_.find_first_not_of('\n'), held_.size()));
    at_content_start_ = held_.empty();
  }
  content += held_;
  held_.clear();
}

void ReasoningSplitter::finish(std::string &reasoning, std::string &content) {
  (state_ == ThoughtState::kInside ? reasoning : content) += held_;
  held_.clear();
}

TextShape after_thoughts(TextShape shape, ThoughtState state) {
  if (shape.any() || state == ThoughtState::kAfter)
    return shape;
  bool inside = state == ThoughtState::kInside;
  auto prelude = [inside](grammar::Grammar &out) {
    grammar::NodeId thoughts = grammar::text_until(out, kClose);
    grammar::NodeId lines = out.repeat(out.literal("\n"), 0, 3);
    grammar::NodeId open = out.sequence({out.repeat(out.literal("\n"), 0, 1), out.literal(kOpen)});
    return inside ? out.sequence({thoughts, lines}) : out.optional(out.sequence({open, thoughts, lines}));
  };
  return after_prelude(std::move(shape), inside ? "thoughts" : "thoughts?", prelude);
}

} // namespace llmrt::server
