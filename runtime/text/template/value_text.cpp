// str() and repr() of values.
#include "runtime/base/text.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/python_text.h"
#include "runtime/text/template/value.h"

#include <cmath>
#include <cstdio>

namespace llmrt::chat {

// The shortest digits that read back as the same number; with an exponent below 1e-4 and from 1e16 on.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const Decimal number = shortest_decimal(value);
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e16)) return scientific_text(number);
  const std::string text = fixed_text(number);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

namespace {

void append_escape(uint32_t point, std::string &out) {
  char buffer[16];
  const char *format = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(point));
  out += buffer;
}

std::string quoted(std::string_view text) {
  const bool doubles = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = doubles ? '"' : '\'';
  std::string out(1, quote);
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    if (point == '\n') out += "\\n";
    else if (point == '\r') out += "\\r";
    else if (point == '\t') out += "\\t";
    else if (point == '\\' || point == static_cast<uint32_t>(quote)) out.append("\\").append(c);
    else if (is_printable(point)) out.append(c);
    else append_escape(point, out);
  }
  return out + quote;
}

std::string joined(const Items &items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + to_repr(items[i]);
  return out;
}

std::string row_repr(const RowObject &row) {
  switch (row.kind) {
  case RowKind::List: return "[" + joined(row.items) + "]";
  case RowKind::Tuple: return "(" + joined(row.items) + (row.items.size() == 1 ? ",)" : ")");
  case RowKind::KeysView: return "dict_keys([" + joined(row.items) + "])";
  case RowKind::ValuesView: return "dict_values([" + joined(row.items) + "])";
  case RowKind::ItemsView: return "dict_items([" + joined(row.items) + "])";
  default: unsupported("printing a range or a generator; use the filter list");
  }
}

std::string dict_repr(const DictObject &dict) {
  std::string out = "{";
  for (const auto &[key, value] : dict.entries())
    out += (out.size() > 1 ? ", " : "") + to_repr(key) + ": " + to_repr(value);
  return out + "}";
}

} // namespace

std::string to_repr(const Value &value) {
  switch (value.type()) {
  case Type::Undefined: return "Undefined";
  case Type::None: return "None";
  case Type::Bool: return value.as_bool() ? "True" : "False";
  case Type::Int: return std::to_string(value.as_int());
  case Type::Float: return float_text(value.as_double());
  case Type::String: return value.is_safe() ? "Markup(" + quoted(value.text()) + ")" : quoted(value.text());
  case Type::Row: return row_repr(value.as_row());
  case Type::Dict: return dict_repr(value.as_dict());
  case Type::Function:
    if (value.as_function().is_macro) return "<Macro " + quoted(value.as_function().name) + ">";
    [[fallthrough]];
  default: unsupported("printing a " + type_name(value));
  }
}

std::string to_text(const Value &value) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return "";
  return to_repr(value);
}

} // namespace llmrt::chat
