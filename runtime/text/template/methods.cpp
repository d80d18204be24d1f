// The methods of Python's str, list and dict that templates may call. Those that change a list or a dict are refused,
// as transformers' sandbox refuses them.
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/interpreter.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>

namespace llmrt::chat {

namespace {

constexpr std::string_view kStringMethods[] = {
    "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map",
    "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
    "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill"};
constexpr std::string_view kListMethods[] = {"append", "clear", "copy", "count", "extend", "index",
                                             "insert", "pop", "remove", "reverse", "sort"};
constexpr std::string_view kTupleMethods[] = {"count", "index"};
constexpr std::string_view kDictMethods[] = {"clear", "copy", "fromkeys", "get", "items", "keys",
                                             "pop", "popitem", "setdefault", "update", "values"};
constexpr std::string_view kChanging[] = {"append", "clear", "extend", "insert", "pop", "popitem",
                                          "remove", "reverse", "setdefault", "sort", "update"};

template <size_t N> bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

const std::string &text_argument(const Value &value, std::string_view method) {
  if (!value.is_string()) refuse(std::string(method) + "() takes a string, not " + type_name(value));
  return value.text();
}

int64_t integer_argument(const Value &value, int64_t otherwise, std::string_view method) {
  if (value.is_undefined()) return otherwise;
  if (!value.is_integral()) refuse(std::string(method) + "() takes an integer, not " + type_name(value));
  return value.as_int();
}

Value strings_to_list(std::vector<std::string> strings) {
  Items items;
  for (std::string &s : strings) items.push_back(Value::string(std::move(s)));
  return Value::list(std::move(items));
}

// strip, lstrip, rstrip.
Value strip_method(const std::string &name, const std::string &text, Call &call) {
  const Value chars = call.take(0, "");
  call.finish(name, 1);
  const bool given = !chars.is_undefined() && !chars.is_none();
  const std::string_view set = given ? std::string_view(text_argument(chars, name)) : std::string_view();
  std::string_view out = text;
  if (name != "rstrip") out = strip_left(out, given ? &set : nullptr);
  if (name != "lstrip") out = strip_right(out, given ? &set : nullptr);
  return Value::string(std::string(out));
}

Value split_method(const std::string &name, const std::string &text, Call &call) {
  const Value separator = call.take(0, "sep");
  const int64_t most = integer_argument(call.take(1, "maxsplit"), -1, name);
  call.finish(name, 2);
  const bool given = !separator.is_undefined() && !separator.is_none();
  const std::string_view at = given ? std::string_view(text_argument(separator, name)) : std::string_view();
  if (given && at.empty()) refuse("empty separator");
  return strings_to_list(name == "split" ? split(text, given ? &at : nullptr, most)
                                         : split_from_right(text, given ? &at : nullptr, most));
}

// The part of `text` between two places counted in characters, as Python's slices do; and where it starts in bytes.
std::string_view part_of(std::string_view text, const Value &start, const Value &stop, std::string_view method,
                         size_t &offset) {
  offset = 0;
  if (start.is_undefined() && stop.is_undefined()) return text;
  const std::vector<std::string_view> all = characters(text);
  const auto size = static_cast<int64_t>(all.size());
  const auto place = [&](const Value &v, int64_t otherwise) {
    int64_t at = v.is_none() ? otherwise : integer_argument(v, otherwise, method);
    if (at < 0) at = std::max<int64_t>(at + size, 0);
    return at;
  };
  const int64_t first = place(start, 0), last = std::min(place(stop, size), size);
  if (first > size || first > last) return {}; // null: nothing can be found in it, not even ""
  const auto bytes = [&](int64_t at) {
    return at == size ? text.size() : static_cast<size_t>(all[static_cast<size_t>(at)].data() - text.data());
  };
  offset = bytes(first);
  return text.substr(offset, bytes(last) - offset);
}

Value affix_method(const std::string &name, const std::string &text, Call &call) {
  const Value affix = call.take(0, ""), start = call.take(1, ""), stop = call.take(2, "");
  call.finish(name, 3);
  size_t offset = 0;
  const std::string_view part = part_of(text, start, stop, name, offset);
  const auto matches = [&](const Value &v) {
    const std::string &what = text_argument(v, name);
    return part.data() && (name == "startswith" ? part.starts_with(what) : part.ends_with(what));
  };
  if (!affix.is_row(RowKind::Tuple)) return Value::boolean(matches(affix));
  const Items &all = affix.as_row().items;
  return Value::boolean(std::any_of(all.begin(), all.end(), matches));
}

// find, rfind, index, rindex, count.
Value search_method(const std::string &name, const std::string &text, Call &call) {
  const Value what = call.take(0, ""), start = call.take(1, ""), stop = call.take(2, "");
  call.finish(name, 3);
  const std::string &needle = text_argument(what, name);
  size_t offset = 0;
  const std::string_view part = part_of(text, start, stop, name, offset);
  if (name == "count") {
    if (!part.data()) return Value::integer(0);
    if (needle.empty()) return Value::integer(static_cast<int64_t>(count_characters(part)) + 1);
    int64_t n = 0;
    for (size_t at = part.find(needle); at != std::string_view::npos; at = part.find(needle, at + needle.size())) ++n;
    return Value::integer(n);
  }
  const bool backwards = name[0] == 'r';
  const size_t at = !part.data() ? std::string_view::npos : backwards ? part.rfind(needle) : part.find(needle);
  if (at == std::string_view::npos) {
    if (name.ends_with("index")) refuse("substring not found");
    return Value::integer(-1);
  }
  return Value::integer(static_cast<int64_t>(count_characters(std::string_view(text).substr(0, offset + at))));
}

Value join_method(const std::string &text, Call &call) {
  const Items items = iterate(call.take(0, ""));
  call.finish("join", 1);
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += text;
    out += text_argument(items[i], "join");
  }
  return Value::string(std::move(out));
}

// True if there is at least one character and all pass.
Value all_characters(const std::string &text, bool (*test)(uint32_t)) {
  const std::vector<std::string_view> all = characters(text);
  const auto pass = [&](std::string_view c) { return test(utf8_first(c).point); };
  const bool passes = std::all_of(all.begin(), all.end(), pass);
  return Value::boolean(!all.empty() && passes);
}

Value cased_method(const std::string &text, bool upper) {
  bool any = false;
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    if (upper ? is_lower(point) : is_upper(point)) return Value::boolean(false);
    any = any || is_cased(point);
  }
  return Value::boolean(any);
}

Value pad_method(Interpreter &interpreter, const std::string &name, const std::string &text, Call &call) {
  const int64_t width = integer_argument(call.take(0, ""), 0, name);
  const Value fill = call.take(1, "");
  call.finish(name, 2);
  const std::string with = fill.is_undefined() ? (name == "zfill" ? "0" : " ") : text_argument(fill, name);
  const int64_t missing = width - static_cast<int64_t>(count_characters(text));
  if (missing <= 0) return Value::string(text);
  interpreter.charge(static_cast<size_t>(missing) * with.size());
  const auto run = [&](int64_t n) {
    std::string out;
    for (int64_t i = 0; i < n; ++i) out += with;
    return out;
  };
  if (name == "ljust") return Value::string(text + run(missing));
  if (name == "rjust") return Value::string(run(missing) + text);
  if (name == "zfill") {
    const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
    return Value::string(text.substr(0, sign) + run(missing) + text.substr(sign));
  }
  const int64_t left = missing / 2 + (missing & width & 1);
  return Value::string(run(left) + text + run(missing - left));
}

Value partition_method(const std::string &name, const std::string &text, Call &call) {
  const Value what = call.take(0, "");
  call.finish(name, 1);
  const std::string &separator = text_argument(what, name);
  if (separator.empty()) refuse("empty separator");
  const bool backwards = name == "rpartition";
  const size_t at = backwards ? text.rfind(separator) : text.find(separator);
  const auto row = [](std::string a, std::string b, std::string c) {
    return Value::row(RowKind::Tuple,
                      {Value::string(std::move(a)), Value::string(std::move(b)), Value::string(std::move(c))});
  };
  if (at == std::string::npos) return backwards ? row("", "", text) : row(text, "", "");
  return row(text.substr(0, at), separator, text.substr(at + separator.size()));
}

Value replace_method(const std::string &text, Call &call) {
  const Value what = call.take(0, ""), with = call.take(1, "");
  const int64_t most = integer_argument(call.take(2, ""), -1, "replace");
  call.finish("replace", 3);
  return Value::string(replace(text, text_argument(what, "replace"), text_argument(with, "replace"), most));
}

Value remove_affix(const std::string &name, const std::string &text, Call &call) {
  const Value what = call.take(0, "");
  call.finish(name, 1);
  const std::string &affix = text_argument(what, name);
  if (name == "removeprefix" && text.starts_with(affix)) return Value::string(text.substr(affix.size()));
  if (name == "removesuffix" && text.ends_with(affix)) return Value::string(text.substr(0, text.size() - affix.size()));
  return Value::string(text);
}

Value plain_method(const std::string &name, const std::string &text, Call &call) {
  call.finish(name, 0);
  if (name == "upper") return Value::string(to_upper(text));
  if (name == "lower") return Value::string(to_lower(text));
  if (name == "title") return Value::string(to_title(text));
  if (name == "capitalize") return Value::string(to_capitalized(text));
  if (name == "swapcase") return Value::string(swap_case(text));
  if (name == "isalpha") return all_characters(text, is_alphabetic);
  if (name == "isdigit") return all_characters(text, is_digit);
  if (name == "isspace") return all_characters(text, is_space);
  if (name == "isalnum") return all_characters(text, [](uint32_t p) { return is_alphabetic(p) || is_digit(p); });
  if (name == "isascii")
    return Value::boolean(std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; }));
  if (name == "isupper" || name == "islower") return cased_method(text, name == "isupper");
  unsupported("the string method " + name);
}

Value string_method(Interpreter &interpreter, const std::string &name, const std::string &text, Call &call) {
  interpreter.charge(text.size());
  if (name == "strip" || name == "lstrip" || name == "rstrip") return strip_method(name, text, call);
  if (name == "split" || name == "rsplit") return split_method(name, text, call);
  if (name == "startswith" || name == "endswith") return affix_method(name, text, call);
  if (name == "find" || name == "rfind" || name == "index" || name == "rindex" || name == "count")
    return search_method(name, text, call);
  if (name == "replace") return replace_method(text, call);
  if (name == "join") return join_method(text, call);
  if (name == "format") return Value::string(brace_format(text, call));
  if (name == "center" || name == "ljust" || name == "rjust" || name == "zfill")
    return pad_method(interpreter, name, text, call);
  if (name == "partition" || name == "rpartition") return partition_method(name, text, call);
  if (name == "removeprefix" || name == "removesuffix") return remove_affix(name, text, call);
  if (name == "splitlines") {
    const Value keep = call.take(0, "keepends");
    call.finish(name, 1);
    return strings_to_list(split_lines(text, is_true(keep)));
  }
  return plain_method(name, text, call);
}

Value dict_method(const std::string &name, const Value &object, Call &call) {
  const DictObject &dict = object.as_dict();
  if (name == "get") {
    if (call.positional.empty()) refuse("get expected at least 1 argument, got 0");
    call.finish(name, 2);
    const Value *found = dict.find(call.positional[0]);
    return found ? *found : call.positional.size() > 1 ? call.positional[1] : Value::none();
  }
  call.finish(name, 0);
  if (name == "copy") return Value::dict(std::make_shared<DictObject>(dict));
  if (name == "fromkeys") unsupported("dict.fromkeys");
  Items items;
  for (const auto &[key, value] : dict.entries()) {
    if (name == "keys") items.push_back(key);
    else if (name == "values") items.push_back(value);
    else items.push_back(Value::row(RowKind::Tuple, {key, value}));
  }
  return Value::row(name == "keys"     ? RowKind::KeysView
                    : name == "values" ? RowKind::ValuesView
                                       : RowKind::ItemsView,
                    std::move(items));
}

Value list_method(const std::string &name, const Value &object, Call &call) {
  const Items &items = object.as_row().items;
  if (name == "copy") {
    call.finish(name, 0);
    return Value::list(items);
  }
  if (call.positional.size() != 1) unsupported("list." + name + " with these arguments");
  call.finish(name, 1);
  int64_t count = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!equals(items[i], call.positional[0])) continue;
    if (name == "index") return Value::integer(static_cast<int64_t>(i));
    ++count;
  }
  if (name == "index") refuse("the value is not in the list");
  return Value::integer(count);
}

} // namespace

bool has_method(const Value &object, std::string_view name) {
  if (object.is_string()) return among(kStringMethods, name);
  if (object.is_dict()) return among(kDictMethods, name);
  if (object.is_row(RowKind::List)) return among(kListMethods, name);
  return object.is_row(RowKind::Tuple) && among(kTupleMethods, name);
}

Value get_method(const Value &object, const std::string &name) {
  if (!object.is_string() && among(kChanging, name))
    return Value::undefined("access to attribute '" + name + "' of '" + type_name(object) + "' object is unsafe");
  auto function = std::make_shared<FunctionObject>();
  function->name = name;
  function->call = [object, name](Interpreter &interpreter, Call &call) {
    if (object.is_string()) return string_method(interpreter, name, object.text(), call);
    if (object.is_dict()) return dict_method(name, object, call);
    return list_method(name, object, call);
  };
  return Value::function(std::move(function));
}

} // namespace llmrt::chat
