// Finds a model's tool calls in its text as it comes.
#pragma once

#include "runtime/server/tool_calls.h"

#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

// What is new of one call; the first has id and name.
struct ToolCallDelta {
  int index = 0;
  std::string id, name, arguments;
};

// Reads one call object byte by byte: its name, and its arguments' text as it stands.
class CallScanner {
public:
  // True: the object has ended.
  bool push(char c);
  const std::string &name() const { return name_; }
  bool has_arguments() const { return has_arguments_; }
  // Arguments that were not taken yet; none before the name is known.
  std::string take_arguments();

private:
  void end_string();
  void capture(char c, bool ends);
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, at_value_ = false;
  bool capturing_ = false, started_ = false, has_arguments_ = false, quoted_ = false;
  std::string text_, key_, name_, arguments_;
};

class ToolParser {
public:
  // `forced`: the text is calls from its first byte on. `seed` makes the ids.
  ToolParser(ToolFormat format, bool forced, std::string seed);

  void push(std::string_view text, std::string &content, std::vector<ToolCallDelta> &calls);
  void finish(std::string &content, std::vector<ToolCallDelta> &calls);
  bool any() const { return count_ > 0; }

private:
  enum class State { kText, kPlain, kBetween, kObject, kName, kArguments };
  void start_text(std::string &content);
  void take(char c, std::string &content, std::vector<ToolCallDelta> &calls);
  void take_object(char c, std::string &content, std::vector<ToolCallDelta> &calls);
  void take_name(char c, std::vector<ToolCallDelta> &calls);
  void begin_object();
  void begin_call(const std::string &name, std::vector<ToolCallDelta> &calls);
  std::string call_id(int index) const;

  const ToolFormat format_;
  const std::string seed_;
  std::string_view mark_; // before calls; empty: they are told by their first byte
  State state_ = State::kText;
  std::string held_, raw_;
  CallScanner scanner_;
  bool named_ = false, marked_ = false;
  int count_ = 0;
};

} // namespace llmrt::server
