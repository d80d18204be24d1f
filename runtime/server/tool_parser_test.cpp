#include "runtime/server/chat_answer.h"

#include <gmock/gmock.h>

namespace llmrt::server {
namespace {

struct Read {
  std::string content, calls; // "name(arguments)" each
};

// In pieces of each length: the same.
Read read(ToolFormat format, const std::string &text, bool forced = false) {
  Read first;
  for (size_t piece : {text.size(), size_t(1), size_t(3)}) {
    ToolParser parser(format, forced, "seed");
    ChatDelta delta;
    for (size_t i = 0; i < text.size(); i += piece)
      parser.push(std::string_view(text).substr(i, piece), delta.content, delta.calls);
    parser.finish(delta.content, delta.calls);
    Read out{delta.content, ""};
    Json message = message_of(delta);
    for (const Json &call : message.value("tool_calls", Json::array())) {
      out.calls += call["function"]["name"].get<std::string>() + "(" + call["function"]["arguments"].get<std::string>() + ")";
      EXPECT_EQ(call["id"].get<std::string>().size(), format == ToolFormat::kMistral ? 9u : 29u);
    }
    if (piece == text.size())
      first = out;
    EXPECT_EQ(out.content, first.content) << text << " in pieces of " << piece;
    EXPECT_EQ(out.calls, first.calls) << text << " in pieces of " << piece;
  }
  return first;
}

TEST(ToolParser, Hermes) {
  Read out = read(ToolFormat::kHermes, "Let me see.<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"\"}}\n</tool_call>\n"
                                       "<tool_call>{\"arguments\": {}, \"name\": \"g\"}</tool_call>");
  EXPECT_EQ(out.content, "Let me see.");
  EXPECT_EQ(out.calls, "f({\"a\": \"}\\\"\"})g({})");
  EXPECT_EQ(read(ToolFormat::kHermes, "a < b <tool").content, "a < b <tool");
  EXPECT_EQ(read(ToolFormat::kHermes, "{\"name\":\"f\"}").calls, "");
  EXPECT_EQ(read(ToolFormat::kHermes, "<tool_call>{\"name\":\"f\"}</tool_call>").calls, "f({})");
  EXPECT_EQ(read(ToolFormat::kHermes, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}").calls, "f({\"x\":1})");
}

TEST(ToolParser, Llama3) {
  EXPECT_EQ(read(ToolFormat::kLlama3, "{\"name\": \"f\", \"parameters\": {\"x\": [1, {}]}}; {\"name\":\"g\",\"parameters\":{}}").calls,
            "f({\"x\": [1, {}]})g({})");
  EXPECT_EQ(read(ToolFormat::kLlama3, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}").calls, "f({})");
  Read plain = read(ToolFormat::kLlama3, "It is {\"name\": \"f\"}.");
  EXPECT_EQ(plain.calls, "");
  EXPECT_EQ(plain.content, "It is {\"name\": \"f\"}.");
  Read json = read(ToolFormat::kLlama3, "{\"answer\": {\"name\": 1}} and more");
  EXPECT_EQ(json.calls, "");
  EXPECT_EQ(json.content, "{\"answer\": {\"name\": 1}} and more");
}

TEST(ToolParser, Mistral) {
  EXPECT_EQ(read(ToolFormat::kMistral, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}}, {\"name\": \"g\", \"arguments\": {}}]").calls,
            "f({\"x\": 1})g({})");
  EXPECT_EQ(read(ToolFormat::kMistral, "[TOOL_CALLS]f[ARGS]{\"x\": 1}").calls, "f({\"x\": 1})");
  EXPECT_EQ(read(ToolFormat::kMistral, "[{\"name\": \"f\", \"arguments\": {}}]").calls, "");
  EXPECT_EQ(read(ToolFormat::kMistral, "[{\"name\": \"f\", \"arguments\": {}}]", true).calls, "f({})");
}

TEST(ToolParser, Json) {
  EXPECT_EQ(read(ToolFormat::kJson, "[{\"name\": \"f\", \"parameters\": null}]").calls, "f(null)");
  EXPECT_EQ(read(ToolFormat::kJson, " {\"name\": \"f\", \"arguments\": 12}").calls, "f(12)");
  EXPECT_EQ(read(ToolFormat::kJson, "[1, 2]").content, "[1, 2]");
  EXPECT_EQ(read(ToolFormat::kJson, "{\"name\": \"f\", \"argum").content, "{\"name\": \"f\", \"argum");
}

TEST(ReasoningSplitter, Splits) {
  auto split = [](ThoughtState state, const std::string &text) {
    std::string last;
    for (size_t piece : {text.size(), size_t(1), size_t(4)}) {
      ReasoningSplitter splitter(state);
      std::string reasoning, content;
      for (size_t i = 0; i < text.size(); i += piece)
        splitter.push(std::string_view(text).substr(i, piece), reasoning, content);
      splitter.finish(reasoning, content);
      std::string all = reasoning + "|" + content;
      if (!last.empty()) {
        EXPECT_EQ(all, last);
      }
      last = all;
    }
    return last;
  };
  EXPECT_EQ(split(ThoughtState::kInside, "a</think>\n\nb"), "a|b");
  EXPECT_EQ(split(ThoughtState::kInside, "<think>a</th</think>b</think>"), "a</th|b</think>");
  EXPECT_EQ(split(ThoughtState::kInside, "never"), "never|");
  EXPECT_EQ(split(ThoughtState::kBefore, "\n<think>a</think>b"), "a|b");
  EXPECT_EQ(split(ThoughtState::kBefore, "<thing>"), "|<thing>");
  EXPECT_EQ(split(ThoughtState::kAfter, "<think>"), "|<think>");
  EXPECT_EQ(thought_state(ReasoningParser::kTagged, "x<think>\n"), ThoughtState::kInside);
  EXPECT_EQ(thought_state(ReasoningParser::kTagged, "x<think>\n\n</think>\n\n"), ThoughtState::kAfter);
  EXPECT_EQ(thought_state(ReasoningParser::kTagged, "x"), ThoughtState::kBefore);
  EXPECT_EQ(thought_state(ReasoningParser::kNone, "x<think>"), ThoughtState::kAfter);
}

} // namespace
} // namespace llmrt::server
