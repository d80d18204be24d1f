#include "runtime/text/template/filters.h"

#include "runtime/base/text.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace llmrt::chat {

int64_t integer_option(Call &call, size_t place, std::string_view name, int64_t otherwise) {
  const Value value = option(call, place, name, Value::integer(otherwise));
  if (!value.is_integral()) refuse("the argument '" + std::string(name) + "' must be an integer");
  return value.as_int();
}

namespace {

Value filter_abs(Interpreter &, Call &call) {
  const Value &v = call.positional[0];
  call.finish("abs", 1);
  if (v.is_undefined()) refuse(v.why_undefined());
  if (v.type() == Type::Float) return Value::number(std::fabs(v.as_double()));
  if (!v.is_integral()) refuse("bad operand type for abs(): '" + type_name(v) + "'");
  return v.as_int() < 0 ? negative(v) : Value::integer(v.as_int());
}

Value filter_attr(Interpreter &, Call &call) {
  const Value name = option(call, 0, "name", Value());
  call.finish("attr", 2);
  const Value &object = call.positional[0];
  if (!name.is_string()) refuse("attr takes a name");
  if (object.is_dict() && !has_method(object, name.text()))
    return Value::undefined("'dict object' has no attribute '" + name.text() + "'");
  return get_attribute(object, name.text());
}

Value filter_default(Interpreter &, Call &call) {
  const Value otherwise = option(call, 0, "default_value", Value::string(""));
  const Value boolean = option(call, 1, "boolean", Value::boolean(false));
  call.finish("default", 3);
  const Value &v = call.positional[0];
  return v.is_undefined() || (is_true(boolean) && !is_true(v)) ? otherwise : v;
}

// Python's float() of a string; false where it refuses.
bool parse_float(std::string_view text, double &out) {
  text = strip_left(strip_right(text, nullptr), nullptr);
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] >= '0' && text[i - 1] <= '9' &&
                         text[i + 1] >= '0' && text[i + 1] <= '9';
    if (text[i] == '_' && !between) return false;
    if (text[i] != '_') plain += text[i];
  }
  std::string_view digits = plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return false;
  const std::string name = to_lower(digits);
  if (name == "inf" || name == "infinity") out = INFINITY;
  else if (name == "nan") out = NAN;
  else if (!parse_decimal(digits, out)) return false;
  if (negative) out = -out;
  return true;
}

bool parse_integer(std::string_view text, int radix, int64_t &out) {
  text = strip_left(strip_right(text, nullptr), nullptr);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string_view prefix = radix == 16 ? "0x" : radix == 8 ? "0o" : radix == 2 ? "0b" : "";
  if (!prefix.empty() && to_lower(text.substr(0, 2)) == prefix) text.remove_prefix(2);
  std::string digits = negative ? "-" : "";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && (i == 0 || i + 1 == text.size() || text[i - 1] == '_')) return false;
    if (text[i] == '-') return false;
    if (text[i] != '_') digits += text[i];
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, radix);
  if (error == std::errc::result_out_of_range) unsupported("whole numbers of more than 64 bits");
  return error == std::errc() && end == digits.data() + digits.size();
}

bool integer_of_float(double d, int64_t &out) {
  if (!std::isfinite(d)) return false;
  if (std::fabs(d) >= 9.2e18) unsupported("whole numbers of more than 64 bits");
  out = static_cast<int64_t>(d);
  return true;
}

Value filter_int(Interpreter &, Call &call) {
  const Value otherwise = option(call, 0, "default", Value::integer(0));
  const int64_t base = integer_option(call, 1, "base", 10);
  call.finish("int", 3);
  const Value &v = call.positional[0];
  if (base != 10 && base != 16 && base != 8 && base != 2) unsupported("this base");
  if (v.is_undefined()) refuse(v.why_undefined());
  int64_t out = 0;
  double d = 0;
  if (v.is_integral()) return Value::integer(v.as_int());
  if (v.type() == Type::Float) {
    if (std::isinf(v.as_double())) return otherwise;
    return integer_of_float(v.as_double(), out) ? Value::integer(out) : otherwise;
  }
  if (!v.is_string()) return otherwise;
  if (parse_integer(v.text(), static_cast<int>(base), out)) return Value::integer(out);
  return parse_float(v.text(), d) && integer_of_float(d, out) ? Value::integer(out) : otherwise;
}

Value filter_float(Interpreter &, Call &call) {
  const Value otherwise = option(call, 0, "default", Value::number(0));
  call.finish("float", 2);
  const Value &v = call.positional[0];
  if (v.is_undefined()) refuse(v.why_undefined());
  double d = 0;
  if (v.is_number()) return Value::number(v.as_double());
  return v.is_string() && parse_float(v.text(), d) ? Value::number(d) : otherwise;
}

Value filter_round(Interpreter &, Call &call) {
  const int64_t precision = integer_option(call, 0, "precision", 0);
  const Value method = option(call, 1, "method", Value::string("common"));
  call.finish("round", 3);
  const Value &v = call.positional[0];
  if (v.is_undefined()) refuse(v.why_undefined());
  if (!v.is_number()) refuse("type " + type_name(v) + " cannot be rounded");
  if (!method.is_string()) refuse("method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method.text() == "ceil") return Value::number(std::ceil(v.as_double() * scale) / scale);
  if (method.text() == "floor") return Value::number(std::floor(v.as_double() * scale) / scale);
  if (method.text() != "common") refuse("method must be common, ceil or floor");
  if (v.is_integral() && precision >= 0) return Value::integer(v.as_int());
  if (v.is_integral() || precision < 0) unsupported("rounding to tens");
  // The decimal digits of the exact value, to even on a tie: what printf gives.
  double rounded = v.as_double();
  parse_number(format_fixed(rounded, static_cast<int>(std::min<int64_t>(precision, 100))), rounded);
  return Value::number(rounded);
}

Value refuse_filter(Interpreter &, Call &) { unsupported("this filter"); }

struct Row {
  std::string_view name;
  Filter filter;
};

constexpr Row kFilters[] = {
    {"abs", filter_abs}, {"attr", filter_attr}, {"batch", filter_batch}, {"capitalize", filter_capitalize},
    {"center", filter_center}, {"count", filter_length}, {"d", filter_default}, {"default", filter_default},
    {"dictsort", filter_dictsort}, {"e", filter_escape}, {"escape", filter_escape}, {"filesizeformat", refuse_filter},
    {"first", filter_first}, {"float", filter_float}, {"forceescape", refuse_filter}, {"format", filter_format},
    {"groupby", refuse_filter}, {"indent", filter_indent}, {"int", filter_int}, {"items", filter_items},
    {"join", filter_join}, {"last", filter_last}, {"length", filter_length}, {"list", filter_list},
    {"lower", filter_lower}, {"map", filter_map}, {"max", filter_max}, {"min", filter_min}, {"pprint", refuse_filter},
    {"random", refuse_filter}, {"reject", filter_reject}, {"rejectattr", filter_rejectattr},
    {"replace", filter_replace}, {"reverse", filter_reverse}, {"round", filter_round}, {"safe", filter_safe},
    {"select", filter_select}, {"selectattr", filter_selectattr}, {"slice", filter_slice}, {"sort", filter_sort},
    {"string", filter_string}, {"striptags", refuse_filter}, {"sum", filter_sum}, {"title", filter_title},
    {"tojson", filter_tojson}, {"trim", filter_trim}, {"truncate", filter_truncate}, {"unique", filter_unique},
    {"upper", filter_upper}, {"urlencode", refuse_filter}, {"urlize", refuse_filter}, {"wordcount", filter_wordcount},
    {"wordwrap", refuse_filter}, {"xmlattr", refuse_filter},
};

const Row *find_filter(std::string_view name) {
  const auto *row =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Row &r) { return r.name == name; });
  return row == std::end(kFilters) ? nullptr : row;
}

} // namespace

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

Value apply_filter(Interpreter &interpreter, const std::string &name, Call &call) {
  const Row *row = find_filter(name);
  if (!row) refuse("no filter is named '" + name + "'");
  if (row->filter == refuse_filter) unsupported("the filter " + name);
  return row->filter(interpreter, call);
}

} // namespace llmrt::chat
