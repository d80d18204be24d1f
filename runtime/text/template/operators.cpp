// Python's operators on values.
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/interpreter.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <cmath>

namespace llmrt::chat {

std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '&': out += "&amp;"; break;
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '"': out += "&#34;"; break;
    case '\'': out += "&#39;"; break;
    default: out += c;
    }
  }
  return out;
}

namespace {

[[noreturn]] void overflow() { unsupported("whole numbers of more than 64 bits"); }

[[noreturn]] void bad_operands(const char *op, const Value &a, const Value &b) {
  if (a.is_undefined()) refuse(a.why_undefined());
  if (b.is_undefined()) refuse(b.why_undefined());
  refuse(std::string("unsupported operand types for ") + op + ": '" + type_name(a) + "' and '" + type_name(b) + "'");
}

// Markup escapes what is joined to it.
Value join_strings(const Value &a, const Value &b) {
  const bool safe = a.is_safe() || b.is_safe();
  if (!safe) return Value::string(a.text() + b.text());
  return Value::string((a.is_safe() ? a.text() : escape_html(a.text())) +
                           (b.is_safe() ? b.text() : escape_html(b.text())),
                       true);
}

Value repeated(const Value &what, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (what.is_string()) {
    std::string out;
    for (int64_t i = 0; i < times; ++i) out += what.text();
    return Value::string(std::move(out), what.is_safe());
  }
  Items out;
  for (int64_t i = 0; i < times && !what.as_row().items.empty(); ++i)
    out.insert(out.end(), what.as_row().items.begin(), what.as_row().items.end());
  return Value::row(what.as_row().kind, std::move(out));
}

bool repeats(const Value &value) {
  return value.is_string() || value.is_row(RowKind::List) || value.is_row(RowKind::Tuple);
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) refuse("integer division or modulo by zero");
  if (a == INT64_MIN && b == -1) overflow();
  const int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t out = 1;
  while (true) {
    if ((exponent & 1) && __builtin_mul_overflow(out, base, &out)) overflow();
    exponent >>= 1;
    if (exponent == 0) return out;
    if (__builtin_mul_overflow(base, base, &base)) overflow();
  }
}

Value integers(Kind kind, int64_t a, int64_t b) {
  int64_t out = 0;
  switch (kind) {
  case Kind::Add:
    if (__builtin_add_overflow(a, b, &out)) overflow();
    return Value::integer(out);
  case Kind::Subtract:
    if (__builtin_sub_overflow(a, b, &out)) overflow();
    return Value::integer(out);
  case Kind::Multiply:
    if (__builtin_mul_overflow(a, b, &out)) overflow();
    return Value::integer(out);
  case Kind::Divide:
    if (b == 0) refuse("division by zero");
    return Value::number(static_cast<double>(a) / static_cast<double>(b));
  case Kind::FloorDivide: return Value::integer(floor_divide(a, b));
  case Kind::Modulo: {
    if (b == -1) return Value::integer(0);
    return Value::integer(a - floor_divide(a, b) * b);
  }
  default:
    if (b < 0) {
      if (a == 0) refuse("0.0 cannot be raised to a negative power");
      return Value::number(std::pow(static_cast<double>(a), static_cast<double>(b)));
    }
    return Value::integer(integer_power(a, b));
  }
}

double float_modulo(double a, double b) {
  double r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) r += b;
  return r == 0 ? std::copysign(0.0, b) : r;
}

Value floats(Kind kind, double a, double b) {
  const bool divides = kind == Kind::Divide || kind == Kind::FloorDivide || kind == Kind::Modulo;
  if (divides && b == 0) refuse("float division by zero");
  switch (kind) {
  case Kind::Add: return Value::number(a + b);
  case Kind::Subtract: return Value::number(a - b);
  case Kind::Multiply: return Value::number(a * b);
  case Kind::Divide: return Value::number(a / b);
  case Kind::FloorDivide: {
    const double quotient = (a - float_modulo(a, b)) / b;
    const double floor = std::floor(quotient);
    return Value::number(quotient - floor > 0.5 ? floor + 1 : floor);
  }
  case Kind::Modulo: return Value::number(float_modulo(a, b));
  default:
    if (a == 0 && b < 0) refuse("0.0 cannot be raised to a negative power");
    if (a < 0 && b != std::floor(b)) unsupported("complex numbers");
    return Value::number(std::pow(a, b));
  }
}

const char *sign_of(Kind kind) {
  switch (kind) {
  case Kind::Add: return "+";
  case Kind::Subtract: return "-";
  case Kind::Multiply: return "*";
  case Kind::Divide: return "/";
  case Kind::FloorDivide: return "//";
  case Kind::Modulo: return "%";
  default: return "**";
  }
}

} // namespace

Value add(const Value &a, const Value &b) {
  if (a.is_string() && b.is_string()) return join_strings(a, b);
  const bool rows = (a.is_row(RowKind::List) && b.is_row(RowKind::List)) ||
                    (a.is_row(RowKind::Tuple) && b.is_row(RowKind::Tuple));
  if (!rows) return arithmetic(Kind::Add, a, b);
  Items items = a.as_row().items;
  items.insert(items.end(), b.as_row().items.begin(), b.as_row().items.end());
  return Value::row(a.as_row().kind, std::move(items));
}

Value arithmetic(Kind kind, const Value &a, const Value &b) {
  if (a.is_integral() && b.is_integral()) return integers(kind, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return floats(kind, a.as_double(), b.as_double());
  if (kind == Kind::Modulo && a.is_string()) return Value::string(percent_format(a.text(), b));
  if (kind == Kind::Multiply && repeats(a) && b.is_integral()) return repeated(a, b.as_int());
  if (kind == Kind::Multiply && a.is_integral() && repeats(b)) return repeated(b, a.as_int());
  bad_operands(sign_of(kind), a, b);
}

Value negative(const Value &value) {
  if (value.is_undefined()) refuse(value.why_undefined());
  if (value.type() == Type::Float) return Value::number(-value.as_double());
  if (!value.is_integral()) refuse("bad operand type for unary -: '" + type_name(value) + "'");
  if (value.as_int() == INT64_MIN) overflow();
  return Value::integer(-value.as_int());
}

namespace {

// What is no method: a namespace's or a loop's attribute.
const Value *own_attribute(const Value &object, const std::string &name) {
  if (object.type() == Type::Namespace) {
    for (const auto &attribute : object.as_ns().attributes)
      if (attribute.first == name) return &attribute.second;
  }
  if (object.type() == Type::Function && object.as_function().attribute) return object.as_function().attribute(name);
  return nullptr;
}

Value missing(const Value &object, const std::string &name) {
  return Value::undefined("'" + type_name(object) + " object' has no attribute '" + name + "'");
}

} // namespace

Value get_attribute(const Value &object, const std::string &name) {
  if (object.is_undefined()) refuse(object.why_undefined());
  if (const Value *own = own_attribute(object, name)) return *own;
  if (has_method(object, name)) return get_method(object, name);
  if (object.is_dict())
    if (const Value *value = object.as_dict().find(name)) return *value;
  return missing(object, name);
}

Value get_item(const Value &object, const Value &index) {
  if (object.is_undefined()) refuse(object.why_undefined());
  if (object.is_dict()) {
    const bool hashable = !index.is_dict() && !index.is_row(RowKind::List);
    if (const Value *value = hashable ? object.as_dict().find(index) : nullptr) return *value;
  }
  if (index.is_string()) {
    if (const Value *own = own_attribute(object, index.text())) return *own;
    if (has_method(object, index.text())) return get_method(object, index.text());
    return missing(object, index.text());
  }
  const bool indexed = object.is_string() || object.is_row(RowKind::List) || object.is_row(RowKind::Tuple) ||
                       object.is_row(RowKind::Range);
  if (!indexed || !index.is_integral()) return missing(object, to_text(index));
  const int64_t size = length(object);
  const int64_t at = index.as_int() < 0 ? index.as_int() + size : index.as_int();
  if (at < 0 || at >= size) return missing(object, to_text(index));
  if (object.is_string()) return Value::string(std::string(characters(object.text())[static_cast<size_t>(at)]));
  return object.as_row().items[static_cast<size_t>(at)];
}

Value get_slice(const Value &object, const Value &start, const Value &stop, const Value &step) {
  if (object.is_undefined()) refuse(object.why_undefined());
  for (const Value *bound : {&start, &stop, &step})
    if (!bound->is_none() && !bound->is_integral()) refuse("slice indices must be integers or None");
  const bool sliced = object.is_string() || object.is_row(RowKind::List) || object.is_row(RowKind::Tuple) ||
                      object.is_row(RowKind::Range);
  if (!sliced) refuse("'" + type_name(object) + "' object cannot be sliced");
  const int64_t by = step.is_none() ? 1 : step.as_int();
  if (by == 0) refuse("slice step cannot be zero");
  const int64_t size = length(object);
  const auto clip = [&](const Value &bound, int64_t otherwise) {
    if (bound.is_none()) return otherwise;
    const int64_t at = bound.as_int() < 0 ? std::max(bound.as_int(), -size - 1) + size : bound.as_int();
    return std::clamp<int64_t>(at, by < 0 ? -1 : 0, by < 0 ? size - 1 : size);
  };
  const int64_t first = clip(start, by < 0 ? size - 1 : 0), last = clip(stop, by < 0 ? -1 : size);
  std::vector<std::string_view> text;
  if (object.is_string()) text = characters(object.text());
  std::string out;
  Items items;
  for (int64_t i = first; by > 0 ? i < last : i > last;) {
    if (object.is_string()) out += text[static_cast<size_t>(i)];
    else items.push_back(object.as_row().items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  if (object.is_string()) return Value::string(std::move(out), object.is_safe());
  return Value::row(object.as_row().kind, std::move(items));
}

} // namespace llmrt::chat
