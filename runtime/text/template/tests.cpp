// Jinja's tests: what may stand behind `is`.
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/interpreter.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>

namespace llmrt::chat {

namespace {

using Test = bool (*)(const Value &, const Value &);

int64_t integer_of(const Value &v) {
  if (v.is_undefined()) refuse(v.why_undefined());
  if (!v.is_integral()) refuse("expected an integer, found " + type_name(v));
  return v.as_int();
}

bool is_divisible(const Value &v, const Value &by) {
  if (integer_of(by) == 0) refuse("integer division or modulo by zero");
  return by.as_int() == -1 || integer_of(v) % by.as_int() == 0;
}

bool is_sequence(const Value &v, const Value &) {
  return v.is_undefined() || v.is_string() || v.is_dict() || v.is_row(RowKind::List) || v.is_row(RowKind::Tuple) ||
         v.is_row(RowKind::Range);
}

bool has_case(const Value &v, bool upper) {
  bool any = false;
  const std::string text = to_text(v);
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    if (upper ? is_lower(point) : is_upper(point)) return false;
    any = any || is_cased(point);
  }
  return any;
}

bool is_same(const Value &a, const Value &b) {
  if (a.type() == b.type() && (a.type() == Type::Int || a.type() == Type::Float || a.is_string()))
    unsupported("sameas on numbers and strings");
  return a.is_same_object(b);
}

struct Row {
  std::string_view name;
  Test test;
  bool takes_operand;
};

constexpr Row kTests[] = {
    {"defined", [](const Value &v, const Value &) { return !v.is_undefined(); }, false},
    {"undefined", [](const Value &v, const Value &) { return v.is_undefined(); }, false},
    {"none", [](const Value &v, const Value &) { return v.is_none(); }, false},
    {"boolean", [](const Value &v, const Value &) { return v.type() == Type::Bool; }, false},
    {"true", [](const Value &v, const Value &) { return v.type() == Type::Bool && v.as_bool(); }, false},
    {"false", [](const Value &v, const Value &) { return v.type() == Type::Bool && !v.as_bool(); }, false},
    {"integer", [](const Value &v, const Value &) { return v.type() == Type::Int; }, false},
    {"float", [](const Value &v, const Value &) { return v.type() == Type::Float; }, false},
    {"number", [](const Value &v, const Value &) { return v.is_number(); }, false},
    {"string", [](const Value &v, const Value &) { return v.is_string(); }, false},
    {"mapping", [](const Value &v, const Value &) { return v.is_dict(); }, false},
    {"sequence", is_sequence, false},
    {"iterable", [](const Value &v, const Value &) { return is_iterable(v); }, false},
    {"callable", [](const Value &v, const Value &) { return v.type() == Type::Function || v.is_undefined(); }, false},
    {"escaped", [](const Value &v, const Value &) { return v.is_safe(); }, false},
    {"lower", [](const Value &v, const Value &) { return has_case(v, false); }, false},
    {"upper", [](const Value &v, const Value &) { return has_case(v, true); }, false},
    {"odd", [](const Value &v, const Value &) { return integer_of(v) % 2 != 0; }, false},
    {"even", [](const Value &v, const Value &) { return integer_of(v) % 2 == 0; }, false},
    {"filter", [](const Value &v, const Value &) { return v.is_string() && is_filter(v.text()); }, false},
    {"test", [](const Value &v, const Value &) { return v.is_string() && is_test(v.text()); }, false},
    {"divisibleby", is_divisible, true},
    {"sameas", is_same, true},
    {"in", [](const Value &v, const Value &w) { return contains(w, v); }, true},
    {"==", equals, true},
    {"eq", equals, true},
    {"equalto", equals, true},
    {"!=", [](const Value &v, const Value &w) { return !equals(v, w); }, true},
    {"ne", [](const Value &v, const Value &w) { return !equals(v, w); }, true},
    {">", [](const Value &v, const Value &w) { return less(w, v); }, true},
    {"gt", [](const Value &v, const Value &w) { return less(w, v); }, true},
    {"greaterthan", [](const Value &v, const Value &w) { return less(w, v); }, true},
    {">=", [](const Value &v, const Value &w) { return !less(v, w); }, true},
    {"ge", [](const Value &v, const Value &w) { return !less(v, w); }, true},
    {"<", less, true},
    {"lt", less, true},
    {"lessthan", less, true},
    {"<=", [](const Value &v, const Value &w) { return !less(w, v); }, true},
    {"le", [](const Value &v, const Value &w) { return !less(w, v); }, true},
};

const Row *find_test(std::string_view name) {
  const auto *row = std::find_if(std::begin(kTests), std::end(kTests), [&](const Row &r) { return r.name == name; });
  return row == std::end(kTests) ? nullptr : row;
}

} // namespace

bool is_test(std::string_view name) { return find_test(name) != nullptr; }

bool apply_test(Interpreter &, const std::string &name, Call &call) {
  const Row *row = find_test(name);
  if (!row) refuse("no test is named '" + name + "'");
  const size_t wanted = row->takes_operand ? 2 : 1;
  if (call.positional.size() != wanted || !call.keyword.empty())
    refuse("the test '" + name + "' takes " + std::to_string(wanted - 1) + " arguments");
  return row->test(call.positional[0], call.positional.back());
}

} // namespace llmrt::chat
