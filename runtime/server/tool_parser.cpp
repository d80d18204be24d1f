#include "runtime/server/tool_parser.h"

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <span>

namespace llmrt::server {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string unquoted(const std::string &text) {
  Result<Json> value = parse_json("\"" + text + "\"");
  return value.ok() && value->is_string() ? value->get<std::string>() : text;
}

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
}

} // namespace

bool CallScanner::push(char c) {
  if (in_string_) {
    bool ends = c == '"' && !escaped_;
    escaped_ = c == '\\' && !escaped_;
    if (capturing_)
      capture(c, ends && depth_ == 1);
    else if (!ends)
      text_ += c;
    in_string_ = !ends;
    if (ends && !capturing_)
      end_string();
    return false;
  }
  bool closes = c == '}' || c == ']';
  if (closes)
    --depth_;
  bool ends_value = depth_ == 0 || (c == ',' && depth_ == 1);
  if (capturing_ && ends_value)
    capturing_ = false; // a number, true, ...
  if (c == '"') {
    in_string_ = true;
    text_.clear();
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (depth_ == 1 && c == ':') {
    at_value_ = true;
    capturing_ = !has_arguments_ && (key_ == "arguments" || key_ == "parameters");
    if (capturing_)
      return has_arguments_ = true, false;
  } else if (ends_value) {
    at_value_ = false;
  }
  if (capturing_ && (started_ || kSpace.find(c) == kSpace.npos))
    capture(c, closes && depth_ == 1);
  return closes && depth_ == 0;
}

void CallScanner::capture(char c, bool ends) {
  if (!started_ && c == '"')
    quoted_ = true; // JSON within JSON: opened at its end
  started_ = true;
  arguments_ += c;
  capturing_ = !ends;
  if (!ends || !quoted_)
    return;
  quoted_ = false;
  arguments_ = unquoted(arguments_.substr(1, arguments_.size() - 2));
}

void CallScanner::end_string() {
  if (depth_ != 1)
    return;
  if (!at_value_)
    key_ = unquoted(text_);
  else if (key_ == "name" && name_.empty())
    name_ = unquoted(text_);
}

std::string CallScanner::take_arguments() { return quoted_ ? std::string() : std::exchange(arguments_, {}); }

ToolParser::ToolParser(ToolFormat format, bool forced, std::string seed) : format_(format), seed_(std::move(seed)) {
  if (format == ToolFormat::kHermes)
    mark_ = "<tool_call>";
  else if (format == ToolFormat::kMistral && !forced)
    mark_ = "[TOOL_CALLS]";
}

// As OpenAI's; Mistral's templates insist on nine letters and digits.
std::string ToolParser::call_id(int index) const {
  const std::string seed = seed_ + "/" + std::to_string(index);
  std::string hash = to_hex(sha256(std::as_bytes(std::span(seed))));
  return format_ == ToolFormat::kMistral ? hash.substr(0, 9) : "call_" + hash.substr(0, 24);
}

void ToolParser::push(std::string_view text, std::string &content, std::vector<ToolCallDelta> &calls) {
  if (state_ == State::kPlain) {
    content += text;
    return;
  }
  if (state_ == State::kText) {
    held_ += text;
    start_text(content);
    if (state_ == State::kText)
      return;
    std::string rest = std::exchange(held_, {});
    if (state_ == State::kPlain)
      content += rest;
    else
      for (char c : rest)
        take(c, content, calls);
    return;
  }
  for (char c : text)
    take(c, content, calls);
}

// Does a call start in what is held?
void ToolParser::start_text(std::string &content) {
  if (!mark_.empty()) {
    size_t at = held_.find(mark_);
    if (at != std::string::npos) {
      content.append(held_, 0, at);
      held_.erase(0, at + mark_.size());
      state_ = State::kBetween;
      marked_ = true;
      return;
    }
    size_t keep = std::min(held_.size(), mark_.size() - 1);
    while (keep > 0 && !std::string_view(held_).ends_with(mark_.substr(0, keep)))
      --keep;
    content.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return;
  }
  static constexpr std::string_view kPythonTag = "<|python_tag|>";
  size_t start = held_.find_first_not_of(kSpace);
  if (start == std::string::npos)
    return;
  std::string_view rest = std::string_view(held_).substr(start);
  if (rest.size() < kPythonTag.size() && kPythonTag.starts_with(rest))
    return;
  bool tagged = rest.starts_with(kPythonTag) && format_ == ToolFormat::kLlama3;
  if (tagged)
    held_.erase(0, start + kPythonTag.size());
  state_ = tagged || rest[0] == '{' || rest[0] == '[' ? State::kBetween : State::kPlain;
}

void ToolParser::take(char c, std::string &content, std::vector<ToolCallDelta> &calls) {
  switch (state_) {
  case State::kObject:
    return take_object(c, content, calls);
  case State::kName:
  case State::kArguments:
    return take_name(c, calls);
  case State::kBetween:
    if (c == '{') {
      begin_object();
      return take_object(c, content, calls);
    }
    if (marked_ && format_ == ToolFormat::kMistral && is_name_char(c)) {
      state_ = State::kName;
      raw_ = c;
      return;
    }
    if (count_ == 0)
      raw_ += c;
    return;
  default:
    content += c;
  }
}

void ToolParser::begin_object() {
  scanner_ = CallScanner();
  state_ = State::kObject;
  named_ = false;
}

void ToolParser::begin_call(const std::string &name, std::vector<ToolCallDelta> &calls) {
  calls.push_back({count_, call_id(count_), name, ""});
  ++count_;
}

void ToolParser::take_object(char c, std::string &content, std::vector<ToolCallDelta> &calls) {
  raw_ += c;
  bool ended = scanner_.push(c);
  if (!named_ && !scanner_.name().empty() && (ended || scanner_.has_arguments())) {
    named_ = true;
    begin_call(scanner_.name(), calls);
  }
  if (named_) {
    std::string arguments = scanner_.take_arguments();
    if (ended && !scanner_.has_arguments())
      arguments = "{}";
    if (!arguments.empty())
      calls.push_back({count_ - 1, "", "", std::move(arguments)});
  }
  if (!ended)
    return;
  state_ = State::kBetween;
  if (!named_ && count_ == 0) { // an object that is no call: the answer itself
    content += raw_;
    state_ = mark_.empty() ? State::kPlain : State::kText;
  }
  raw_.clear();
}

// name[ARGS]{...} or name{...}
void ToolParser::take_name(char c, std::vector<ToolCallDelta> &calls) {
  static constexpr std::string_view kArgs = "[ARGS]";
  if (state_ == State::kName) {
    if (c != '{') {
      raw_ += c;
      return;
    }
    std::string name = std::string(trim(raw_));
    if (name.ends_with(kArgs))
      name.resize(name.size() - kArgs.size());
    begin_call(name, calls);
    state_ = State::kArguments;
    scanner_ = CallScanner();
    raw_.clear();
  }
  calls.push_back({count_ - 1, "", "", std::string(1, c)});
  if (scanner_.push(c))
    state_ = State::kBetween;
}

void ToolParser::finish(std::string &content, std::vector<ToolCallDelta> &) {
  content += held_;
  bool unnamed = count_ == 0 && (state_ == State::kObject || state_ == State::kName || state_ == State::kBetween);
  if (unnamed)
    content += raw_;
  held_.clear();
  raw_.clear();
}

} // namespace llmrt::server
