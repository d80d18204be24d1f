// Python's json.dumps.
#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/interpreter.h"
#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace llmrt::chat {

namespace {

void append_unit(uint32_t unit, std::string &out) {
  char buffer[8];
  std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(unit));
  out += buffer;
}

void append_point(uint32_t point, std::string &out) {
  if (point < 0x10000) return append_unit(point, out);
  append_unit(0xd800 + ((point - 0x10000) >> 10), out);
  append_unit(0xdc00 + ((point - 0x10000) & 0x3ff), out);
}

std::string quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (std::string_view c : characters(text)) {
    const uint32_t point = utf8_first(c).point;
    switch (point) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    case '\f': out += "\\f"; break;
    case '\b': out += "\\b"; break;
    default:
      if (point < 0x20 || (ascii && point >= 0x7f)) {
        if (point == 0x7f) out += '\x7f';
        else append_point(point, out);
      } else {
        out.append(c);
      }
    }
  }
  return out + "\"";
}

std::string number_text(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  return float_text(d);
}

class Writer {
public:
  explicit Writer(const JsonOptions &options) : options_(options) {}

  void value(const Value &v) {
    switch (v.type()) {
    case Type::None: out += "null"; return;
    case Type::Bool: out += v.as_bool() ? "true" : "false"; return;
    case Type::Int: out += std::to_string(v.as_int()); return;
    case Type::Float: out += number_text(v.as_double()); return;
    case Type::String: out += quoted(v.text(), options_.ascii); return;
    case Type::Dict: return dict(v.as_dict());
    default:
      if (!v.is_row(RowKind::List) && !v.is_row(RowKind::Tuple))
        refuse("object of type " + type_name(v) + " is not JSON serializable");
      return list(v.as_row().items);
    }
  }

  std::string out;

private:
  void line() {
    if (!options_.pretty) return;
    out += '\n';
    for (unsigned i = 0; i < depth_; ++i) out += options_.indent;
  }

  void list(const Items &items) {
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    ++depth_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += options_.item_separator;
      line();
      value(items[i]);
    }
    --depth_;
    line();
    out += ']';
  }

  static std::string key_text(const Value &key) {
    switch (key.type()) {
    case Type::String: return key.text();
    case Type::None: return "null";
    case Type::Bool: return key.as_bool() ? "true" : "false";
    case Type::Int: return std::to_string(key.as_int());
    case Type::Float: return number_text(key.as_double());
    default: refuse("keys must be str, int, float, bool or None, not " + type_name(key));
    }
  }

  void dict(const DictObject &dict) {
    if (dict.entries().empty()) {
      out += "{}";
      return;
    }
    std::vector<size_t> order(dict.entries().size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (options_.sorted)
      std::sort(order.begin(), order.end(),
                [&](size_t a, size_t b) { return less(dict.entries()[a].first, dict.entries()[b].first); });
    out += '{';
    ++depth_;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i) out += options_.item_separator;
      line();
      const auto &[key, item] = dict.entries()[order[i]];
      out += quoted(key_text(key), options_.ascii) + options_.key_separator;
      value(item);
    }
    --depth_;
    line();
    out += '}';
  }

  const JsonOptions &options_;
  unsigned depth_ = 0;
};

} // namespace

std::string to_json(const Value &value, const JsonOptions &options) {
  Writer writer(options);
  writer.value(value);
  return std::move(writer.out);
}

} // namespace llmrt::chat
