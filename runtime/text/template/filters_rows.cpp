#include "runtime/text/template/filters.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>

namespace llmrt::chat {

namespace {

Value generator(Items items) { return Value::row(RowKind::Generator, std::move(items)); }

Value without_case(const Value &v) { return v.is_string() ? Value::string(to_lower(v.text())) : v; }

struct Keyed {
  Value key;
  size_t place;
};

// Stable, and stable the other way round as well.
Items sorted(const Items &items, std::vector<Keyed> keys, bool reverse) {
  std::sort(keys.begin(), keys.end(), [&](const Keyed &a, const Keyed &b) {
    if (less(reverse ? b.key : a.key, reverse ? a.key : b.key)) return true;
    if (less(reverse ? a.key : b.key, reverse ? b.key : a.key)) return false;
    return a.place < b.place;
  });
  Items out;
  for (const Keyed &k : keys) out.push_back(items[k.place]);
  return out;
}

void check_sortable(const std::vector<Keyed> &keys) {
  // std::sort must not see an order that throws half way: whatever cannot be compared is found here.
  for (size_t i = 1; i < keys.size(); ++i) (void)less(keys[i - 1].key, keys[i].key);
}

} // namespace

Value get_path(const Value &value, const Value &attribute) {
  if (attribute.is_none() || attribute.is_undefined()) return value;
  if (!attribute.is_string()) return get_item(value, attribute);
  Value out = value;
  const std::string_view dot = ".";
  for (const std::string &part : split(attribute.text(), &dot, -1)) {
    const bool number = !part.empty() && part.size() < 10 &&
                        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    out = get_item(out, number ? Value::integer(std::stol(part)) : Value::string(part));
  }
  return out;
}

Value filter_length(Interpreter &, Call &call) {
  call.finish("length", 1);
  return Value::integer(length(call.positional[0]));
}

Value filter_list(Interpreter &interpreter, Call &call) {
  call.finish("list", 1);
  Items items = iterate(call.positional[0]);
  interpreter.charge(items.size() * sizeof(Value));
  return Value::list(std::move(items));
}

Value filter_first(Interpreter &, Call &call) {
  call.finish("first", 1);
  const Value &v = call.positional[0];
  if (v.is_row(RowKind::Generator) && !v.as_row().spent && !v.as_row().items.empty()) {
    Items &items = v.as_row().items;
    const Value out = items.front();
    items.erase(items.begin());
    return out;
  }
  const Items items = iterate(v);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value filter_last(Interpreter &, Call &call) {
  call.finish("last", 1);
  if (call.positional[0].is_row(RowKind::Generator)) refuse("'generator' object is not reversible");
  const Items items = iterate(call.positional[0]);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value filter_reverse(Interpreter &, Call &call) {
  call.finish("reverse", 1);
  const Value &v = call.positional[0];
  if (v.is_string()) {
    std::vector<std::string_view> all = characters(v.text());
    std::string out;
    for (size_t i = all.size(); i > 0; --i) out += all[i - 1];
    return Value::string(std::move(out));
  }
  const bool generated = v.is_row(RowKind::Generator);
  Items items = iterate(v);
  std::reverse(items.begin(), items.end());
  return generated ? Value::list(std::move(items)) : generator(std::move(items));
}

Value filter_join(Interpreter &, Call &call) {
  const Value between = option(call, 0, "d", Value::string(""));
  const Value attribute = option(call, 1, "attribute", Value::none());
  call.finish("join", 3);
  std::string out;
  const Items items = iterate(call.positional[0]);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += to_text(between);
    out += to_text(get_path(items[i], attribute));
  }
  return Value::string(std::move(out));
}

Value filter_items(Interpreter &, Call &call) {
  call.finish("items", 1);
  const Value &v = call.positional[0];
  if (v.is_undefined()) return generator({});
  if (!v.is_dict()) refuse("Can only get item pairs from a mapping.");
  Items items;
  for (const auto &[key, value] : v.as_dict().entries()) items.push_back(Value::row(RowKind::Tuple, {key, value}));
  return generator(std::move(items));
}

Value filter_dictsort(Interpreter &, Call &call) {
  const bool case_sensitive = is_true(option(call, 0, "case_sensitive", Value::boolean(false)));
  const Value by = option(call, 1, "by", Value::string("key"));
  const bool reverse = is_true(option(call, 2, "reverse", Value::boolean(false)));
  call.finish("dictsort", 4);
  const Value &v = call.positional[0];
  if (v.is_undefined()) refuse(v.why_undefined());
  if (!v.is_dict()) refuse("'" + type_name(v) + "' object has no attribute 'items'");
  if (!by.is_string() || (by.text() != "key" && by.text() != "value")) refuse("dictsort is by key or by value");
  Items items;
  std::vector<Keyed> keys;
  for (const auto &[key, value] : v.as_dict().entries()) {
    const Value &what = by.text() == "key" ? key : value;
    keys.push_back({case_sensitive ? what : without_case(what), items.size()});
    items.push_back(Value::row(RowKind::Tuple, {key, value}));
  }
  check_sortable(keys);
  return Value::list(sorted(items, std::move(keys), reverse));
}

Value filter_sort(Interpreter &interpreter, Call &call) {
  const bool reverse = is_true(option(call, 0, "reverse", Value::boolean(false)));
  const bool case_sensitive = is_true(option(call, 1, "case_sensitive", Value::boolean(false)));
  const Value attribute = option(call, 2, "attribute", Value::none());
  call.finish("sort", 4);
  const Items items = iterate(call.positional[0]);
  interpreter.charge(items.size() * 64);
  std::vector<Value> attributes{attribute};
  if (attribute.is_string()) {
    attributes.clear();
    const std::string_view comma = ",";
    for (std::string &part : split(attribute.text(), &comma, -1)) attributes.push_back(Value::string(std::move(part)));
  }
  std::vector<Keyed> keys;
  for (const Value &item : items) {
    Items key;
    for (const Value &a : attributes) {
      const Value found = get_path(item, a);
      key.push_back(case_sensitive ? found : without_case(found));
    }
    keys.push_back({Value::list(std::move(key)), keys.size()});
  }
  check_sortable(keys);
  return Value::list(sorted(items, std::move(keys), reverse));
}

Value filter_unique(Interpreter &interpreter, Call &call) {
  const bool case_sensitive = is_true(option(call, 0, "case_sensitive", Value::boolean(false)));
  const Value attribute = option(call, 1, "attribute", Value::none());
  call.finish("unique", 3);
  DictObject seen;
  Items out;
  for (const Value &item : iterate(call.positional[0])) {
    const Value found = get_path(item, attribute);
    const Value key = case_sensitive ? found : without_case(found);
    if (!key.is_string()) interpreter.charge(seen.entries().size() * 16);
    if (seen.find(key)) continue;
    seen.set(key, Value::none());
    out.push_back(item);
  }
  return generator(std::move(out));
}

namespace {

Value extreme(Call &call, const char *name, bool greatest) {
  const bool case_sensitive = is_true(option(call, 0, "case_sensitive", Value::boolean(false)));
  const Value attribute = option(call, 1, "attribute", Value::none());
  call.finish(name, 3);
  const Items items = iterate(call.positional[0]);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key = [&](const Value &item) {
    const Value found = get_path(item, attribute);
    return case_sensitive ? found : without_case(found);
  };
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i)
    if (greatest ? less(key(items[best]), key(items[i])) : less(key(items[i]), key(items[best]))) best = i;
  return items[best];
}

// select, reject and their forms that look at an attribute. The rest of the arguments are a test's name and its own.
Value chosen(Interpreter &interpreter, Call &call, bool by_attribute, bool keeps) {
  const Value source = call.positional[0];
  if (!is_true(source)) return generator({});
  const size_t offset = by_attribute ? 2 : 1;
  if (by_attribute && call.positional.size() < 2) refuse("Missing parameter for attribute name");
  const Value attribute = by_attribute ? call.positional[1] : Value::none();
  const bool tests = call.positional.size() > offset;
  if (tests && !call.positional[offset].is_string()) refuse("a test's name must be a string");
  Items out;
  for (const Value &item : iterate(source)) {
    const Value subject = by_attribute ? get_path(item, attribute) : item;
    bool holds = is_true(subject);
    if (tests) {
      Call test;
      test.positional.push_back(subject);
      test.positional.insert(test.positional.end(), call.positional.begin() + static_cast<std::ptrdiff_t>(offset) + 1,
                             call.positional.end());
      holds = apply_test(interpreter, call.positional[offset].text(), test);
    }
    interpreter.charge(64);
    if (holds == keeps) out.push_back(item);
  }
  return generator(std::move(out));
}

} // namespace

Value filter_min(Interpreter &, Call &call) { return extreme(call, "min", false); }
Value filter_max(Interpreter &, Call &call) { return extreme(call, "max", true); }
Value filter_select(Interpreter &i, Call &call) { return chosen(i, call, false, true); }
Value filter_reject(Interpreter &i, Call &call) { return chosen(i, call, false, false); }
Value filter_selectattr(Interpreter &i, Call &call) { return chosen(i, call, true, true); }
Value filter_rejectattr(Interpreter &i, Call &call) { return chosen(i, call, true, false); }

Value filter_map(Interpreter &interpreter, Call &call) {
  const Value source = call.positional[0];
  if (!is_true(source)) return generator({});
  const bool by_attribute = call.positional.size() == 1 && call.has(SIZE_MAX, "attribute");
  const Value attribute = by_attribute ? call.take(SIZE_MAX, "attribute") : Value::none();
  const Value otherwise = by_attribute ? call.take(SIZE_MAX, "default") : Value();
  if (by_attribute) call.finish("map", 1);
  else if (call.positional.size() < 2 || !call.positional[1].is_string()) refuse("map requires a filter argument");
  Items out;
  for (const Value &item : iterate(source)) {
    interpreter.charge(64);
    if (by_attribute) {
      const Value found = get_path(item, attribute);
      out.push_back(found.is_undefined() && !otherwise.is_undefined() && !otherwise.is_none() ? otherwise : found);
      continue;
    }
    Call filter;
    filter.positional.push_back(item);
    filter.positional.insert(filter.positional.end(), call.positional.begin() + 2, call.positional.end());
    filter.keyword = call.keyword;
    out.push_back(apply_filter(interpreter, call.positional[1].text(), filter));
  }
  return generator(std::move(out));
}

Value filter_sum(Interpreter &, Call &call) {
  const Value attribute = option(call, 0, "attribute", Value::none());
  Value sum = option(call, 1, "start", Value::integer(0));
  call.finish("sum", 3);
  if (sum.is_string()) refuse("sum() can't sum strings");
  for (const Value &item : iterate(call.positional[0])) sum = add(sum, get_path(item, attribute));
  return sum;
}

Value filter_batch(Interpreter &interpreter, Call &call) {
  const int64_t count = integer_option(call, 0, "linecount", 0);
  const Value fill = option(call, 1, "fill_with", Value::none());
  call.finish("batch", 3);
  Items out, line;
  for (const Value &item : iterate(call.positional[0])) {
    if (static_cast<int64_t>(line.size()) == count) out.push_back(Value::list(std::exchange(line, {})));
    line.push_back(item);
  }
  if (line.empty()) return generator(std::move(out));
  if (!fill.is_none() && static_cast<int64_t>(line.size()) < count) {
    interpreter.charge(static_cast<size_t>(count) * sizeof(Value));
    line.resize(static_cast<size_t>(count), fill);
  }
  out.push_back(Value::list(std::move(line)));
  return generator(std::move(out));
}

Value filter_slice(Interpreter &interpreter, Call &call) {
  const int64_t slices = integer_option(call, 0, "slices", 0);
  const Value fill = option(call, 1, "fill_with", Value::none());
  call.finish("slice", 3);
  const Items items = iterate(call.positional[0]);
  if (slices == 0) refuse("integer division or modulo by zero");
  interpreter.charge(static_cast<size_t>(std::max<int64_t>(slices, 0)) * sizeof(Value));
  const auto size = static_cast<int64_t>(items.size());
  const int64_t each = slices > 0 ? size / slices : 0, extra = slices > 0 ? size % slices : 0;
  Items out;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t end = at + each + (i < extra ? 1 : 0);
    Items part(items.begin() + at, items.begin() + end);
    if (!fill.is_none() && i >= extra) part.push_back(fill);
    out.push_back(Value::list(std::move(part)));
    at = end;
  }
  return generator(std::move(out));
}

} // namespace llmrt::chat
