#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/filters.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>

namespace llmrt::chat {

namespace {

Value text_value(std::string text, const Value &like) { return Value::string(std::move(text), like.is_safe()); }

} // namespace

Value filter_upper(Interpreter &, Call &call) {
  call.finish("upper", 1);
  return text_value(to_upper(to_text(call.positional[0])), call.positional[0]);
}

Value filter_lower(Interpreter &, Call &call) {
  call.finish("lower", 1);
  return text_value(to_lower(to_text(call.positional[0])), call.positional[0]);
}

Value filter_capitalize(Interpreter &, Call &call) {
  call.finish("capitalize", 1);
  return text_value(to_capitalized(to_text(call.positional[0])), call.positional[0]);
}

// Words begin after white space and after - ( { [ <; this is not str.title.
Value filter_title(Interpreter &, Call &call) {
  call.finish("title", 1);
  const std::string text = to_text(call.positional[0]);
  std::string out, word;
  const auto flush = [&] {
    if (word.empty()) return;
    const size_t first = utf8_first(word).length;
    out += to_upper(std::string_view(word).substr(0, first)) + to_lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    if (!is_space(point) && std::string_view("-({[<").find(c) == std::string_view::npos) {
      word += c;
      continue;
    }
    flush();
    out += c;
  }
  flush();
  return text_value(std::move(out), call.positional[0]);
}

Value filter_trim(Interpreter &, Call &call) {
  const Value chars = option(call, 0, "chars", Value::none());
  call.finish("trim", 2);
  if (!chars.is_none() && !chars.is_string()) refuse("strip arg must be None or str");
  const std::string text = to_text(call.positional[0]);
  const std::string_view set = chars.is_string() ? std::string_view(chars.text()) : std::string_view();
  const std::string_view *which = chars.is_string() ? &set : nullptr;
  return text_value(std::string(strip_right(strip_left(text, which), which)), call.positional[0]);
}

Value filter_string(Interpreter &, Call &call) {
  call.finish("string", 1);
  return text_value(to_text(call.positional[0]), call.positional[0]);
}

Value filter_safe(Interpreter &, Call &call) {
  call.finish("safe", 1);
  return Value::string(to_text(call.positional[0]), true);
}

Value filter_escape(Interpreter &, Call &call) {
  call.finish("escape", 1);
  const Value &v = call.positional[0];
  return v.is_safe() ? v : Value::string(escape_html(to_text(v)), true);
}

Value filter_replace(Interpreter &, Call &call) {
  if (!call.has(1, "old") || !call.has(2, "new")) refuse("replace takes what to replace and with what");
  const Value what = option(call, 0, "old", Value()), with = option(call, 1, "new", Value());
  const Value most = option(call, 2, "count", Value::none());
  call.finish("replace", 4);
  if (!most.is_none() && !most.is_integral()) refuse("replace's count must be an integer");
  return Value::string(replace(to_text(call.positional[0]), to_text(what), to_text(with),
                               most.is_none() ? -1 : most.as_int()));
}

Value filter_indent(Interpreter &interpreter, Call &call) {
  const Value width = option(call, 0, "width", Value::integer(4));
  const bool first = is_true(option(call, 1, "first", Value::boolean(false)));
  const bool blank = is_true(option(call, 2, "blank", Value::boolean(false)));
  call.finish("indent", 4);
  const Value &v = call.positional[0];
  if (v.is_undefined()) refuse(v.why_undefined());
  if (!v.is_string()) refuse("indent takes a string, not " + type_name(v));
  if (!width.is_string() && !width.is_integral()) refuse("indent's width must be an integer or a string");
  if (width.is_integral()) interpreter.charge(static_cast<size_t>(std::clamp<int64_t>(width.as_int(), 0, 1 << 30)));
  const std::string indent =
      width.is_string() ? width.text() : std::string(static_cast<size_t>(std::max<int64_t>(width.as_int(), 0)), ' ');
  const std::vector<std::string> lines = split_lines(v.text() + "\n", false);
  interpreter.charge(lines.size() * indent.size());
  std::string out = first ? indent : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i) out += "\n";
    if (i && (blank || !lines[i].empty())) out += indent;
    out += lines[i];
  }
  return text_value(std::move(out), v);
}

Value filter_center(Interpreter &interpreter, Call &call) {
  const int64_t width = integer_option(call, 0, "width", 80);
  call.finish("center", 2);
  Call padding;
  padding.positional = {Value::integer(width)};
  const Value text = Value::string(to_text(call.positional[0]));
  return interpreter.call(get_method(text, "center"), padding);
}

Value filter_truncate(Interpreter &, Call &call) {
  const int64_t size = integer_option(call, 0, "length", 255);
  const bool kill = is_true(option(call, 1, "killwords", Value::boolean(false)));
  const Value end = option(call, 2, "end", Value::string("..."));
  const Value leeway = option(call, 3, "leeway", Value::none());
  call.finish("truncate", 5);
  const Value &v = call.positional[0];
  if (!v.is_string() || !end.is_string()) refuse("truncate takes a string");
  const int64_t slack = leeway.is_none() ? 5 : leeway.is_integral() ? leeway.as_int() : -1;
  const auto tail = static_cast<int64_t>(count_characters(end.text()));
  if (size < tail || slack < 0) refuse("truncate's length or leeway is too small");
  const std::vector<std::string_view> all = characters(v.text());
  if (static_cast<int64_t>(all.size()) <= size + slack) return v;
  std::string kept;
  for (int64_t i = 0; i < size - tail; ++i) kept += all[static_cast<size_t>(i)];
  if (!kill) kept = kept.substr(0, kept.rfind(' '));
  return Value::string(kept + end.text());
}

Value filter_wordcount(Interpreter &, Call &call) {
  call.finish("wordcount", 1);
  int64_t words = 0;
  bool inside = false;
  const std::string text = to_text(call.positional[0]);
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    const bool word = is_alphabetic(point) || is_digit(point) || point == '_';
    words += word && !inside;
    inside = word;
  }
  return Value::integer(words);
}

Value filter_format(Interpreter &, Call &call) {
  const std::string format = to_text(call.positional[0]);
  const bool named = !call.keyword.empty();
  if (named && call.positional.size() > 1) refuse("format takes positional or keyword arguments, not both");
  if (!named)
    return Value::string(
        percent_format(format, Value::row(RowKind::Tuple, Items(call.positional.begin() + 1, call.positional.end()))));
  auto dict = std::make_shared<DictObject>();
  for (const auto &[name, value] : call.keyword) dict->set(Value::string(name), value);
  return Value::string(percent_format(format, Value::dict(std::move(dict))));
}

// As transformers defines it: json.dumps without ASCII escapes.
Value filter_tojson(Interpreter &interpreter, Call &call) {
  JsonOptions options;
  options.ascii = is_true(option(call, 0, "ensure_ascii", Value::boolean(false)));
  const Value indent = option(call, 1, "indent", Value::none());
  const Value separators = option(call, 2, "separators", Value::none());
  options.sorted = is_true(option(call, 3, "sort_keys", Value::boolean(false)));
  call.finish("tojson", 5);
  if (!indent.is_none()) {
    if (!indent.is_string() && !indent.is_integral()) refuse("indent must be an integer or a string");
    const int64_t width = indent.is_string() ? 0 : std::clamp<int64_t>(indent.as_int(), 0, 1000);
    options.pretty = true;
    options.indent = indent.is_string() ? indent.text() : std::string(static_cast<size_t>(width), ' ');
    options.item_separator = ",";
  }
  if (!separators.is_none()) {
    const Items pair = iterate(separators);
    if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) refuse("separators must be two strings");
    options.item_separator = pair[0].text();
    options.key_separator = pair[1].text();
  }
  std::string text = to_json(call.positional[0], options);
  interpreter.charge(text.size());
  return Value::string(std::move(text));
}

} // namespace llmrt::chat
