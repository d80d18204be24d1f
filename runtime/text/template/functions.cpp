// The functions that a template finds without defining them.
#include "runtime/text/template/interpreter.h"

#include <algorithm>
#include <ctime>

namespace llmrt::chat {

namespace {

constexpr int64_t kMostRange = 100'000; // of jinja's sandbox

int64_t range_argument(const Value &value) {
  if (value.is_undefined()) refuse(value.why_undefined());
  if (!value.is_integral()) refuse("range() takes integers, not " + type_name(value));
  return value.as_int();
}

Value make_range(Interpreter &interpreter, Call &call) {
  const size_t count = call.positional.size();
  if (count == 0 || count > 3) refuse("range() takes 1 to 3 arguments");
  call.finish("range", 3);
  const int64_t start = count > 1 ? range_argument(call.positional[0]) : 0;
  const int64_t stop = range_argument(call.positional[count > 1 ? 1 : 0]);
  const int64_t step = count > 2 ? range_argument(call.positional[2]) : 1;
  if (step == 0) refuse("range() arg 3 must not be zero");
  Items items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) == kMostRange) refuse("a range of more than 100000 numbers");
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  interpreter.charge(items.size() * sizeof(Value));
  return Value::row(RowKind::Range, std::move(items));
}

// A mapping or pairs, then keywords; in the order of a dict.
std::shared_ptr<DictObject> dict_arguments(Call &call, const char *what) {
  if (call.positional.size() > 1) refuse(std::string(what) + " expected at most 1 argument");
  auto dict = std::make_shared<DictObject>();
  if (!call.positional.empty()) {
    const Value &from = call.positional[0];
    if (from.is_dict()) *dict = from.as_dict();
    else
      for (const Value &pair : iterate(from)) {
        const Items items = iterate(pair);
        if (items.size() != 2) refuse("a dict is made of pairs");
        dict->set(items[0], items[1]);
      }
  }
  for (auto &[name, value] : call.keyword) dict->set(Value::string(name), std::move(value));
  return dict;
}

Value make_dict(Interpreter &, Call &call) { return Value::dict(dict_arguments(call, "dict")); }

Value make_namespace(Interpreter &, Call &call) {
  auto ns = std::make_shared<NamespaceObject>();
  const std::shared_ptr<DictObject> given = dict_arguments(call, "namespace");
  for (const auto &[key, value] : given->entries()) {
    if (!key.is_string()) unsupported("a namespace's attribute that is no string");
    if (key.text().starts_with("_")) refuse("a namespace's attribute cannot begin with an underscore: " + key.text());
    if (value.type() == Type::Namespace) unsupported("a namespace inside a namespace");
    ns->attributes.emplace_back(key.text(), value);
  }
  return Value::ns(std::move(ns));
}

Value raise_exception(Interpreter &, Call &call) {
  const Value message = call.take(0, "message");
  call.finish("raise_exception", 1);
  throw TemplateError(to_text(message));
}

Value strftime_now(Interpreter &interpreter, Call &call) {
  const Value format = call.take(0, "format");
  call.finish("strftime_now", 1);
  if (!format.is_string()) refuse("strftime_now() takes a string");
  const std::time_t now =
      interpreter.limits().now >= 0 ? static_cast<std::time_t>(interpreter.limits().now) : std::time(nullptr);
  std::tm parts{};
  if (!localtime_r(&now, &parts)) refuse("the time cannot be told");
  char buffer[1024];
  const std::string wanted = format.text() + "!"; // never empty, so 0 means too long
  const size_t size = std::strftime(buffer, sizeof buffer, wanted.c_str(), &parts);
  if (size == 0) refuse("strftime_now()'s result is too long");
  return Value::string(std::string(buffer, size - 1));
}

Value function(std::string name, std::function<Value(Interpreter &, Call &)> call) {
  auto object = std::make_shared<FunctionObject>();
  object->name = std::move(name);
  object->call = std::move(call);
  return Value::function(std::move(object));
}

// Gives "" the first time and the separator after that.
Value make_joiner(Interpreter &, Call &call) {
  const Value separator = call.has(0, "sep") ? call.take(0, "sep") : Value::string(", ");
  call.finish("joiner", 1);
  return function("joiner", [separator, used = std::make_shared<bool>(false)](Interpreter &, Call &) {
    return std::exchange(*used, true) ? separator : Value::string("");
  });
}

Value make_cycler(Interpreter &, Call &call) {
  if (call.positional.empty()) refuse("at least one item has to be provided");
  call.finish("cycler", SIZE_MAX);
  auto place = std::make_shared<size_t>(0);
  const Items items = call.positional;
  const Value next = function("next", [items, place](Interpreter &, Call &) {
    const Value item = items[*place];
    *place = (*place + 1) % items.size();
    return item;
  });
  const Value reset = function("reset", [place](Interpreter &, Call &) {
    *place = 0;
    return Value::none();
  });
  auto object = std::make_shared<FunctionObject>();
  object->name = "cycler";
  object->call = [](Interpreter &, Call &) -> Value { refuse("a cycler is not callable"); };
  object->attribute = [items, place, next, reset](std::string_view name) -> const Value * {
    if (name == "next") return &next;
    if (name == "reset") return &reset;
    return name == "current" ? &items[*place] : nullptr;
  };
  return Value::function(std::move(object));
}

} // namespace

void add_globals(Scope &scope) {
  scope.set("range", function("range", make_range));
  scope.set("dict", function("dict", make_dict));
  scope.set("namespace", function("namespace", make_namespace));
  scope.set("raise_exception", function("raise_exception", raise_exception));
  scope.set("strftime_now", function("strftime_now", strftime_now));
  scope.set("joiner", function("joiner", make_joiner));
  scope.set("cycler", function("cycler", make_cycler));
}

} // namespace llmrt::chat
