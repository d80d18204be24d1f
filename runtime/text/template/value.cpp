#include "runtime/text/template/value.h"

#include "runtime/text/template/python_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace llmrt::chat {

namespace {
constexpr uint32_t kMostDepth = 128;

void check_depth(uint32_t depth) {
  if (depth > kMostDepth) throw TemplateError("values nested more than 128 deep", TemplateError::Kind::Exhausted);
}
} // namespace

void refuse(const std::string &message) { throw TemplateError(message); }
void unsupported(const std::string &message) {
  throw TemplateError("unsupported: " + message, TemplateError::Kind::Unsupported);
}

Value Value::undefined(std::string why) {
  Value v(Type::Undefined);
  v.object_ = std::make_shared<StringObject>(StringObject{std::move(why), false});
  return v;
}

Value Value::boolean(bool b) {
  Value v(Type::Bool);
  v.integer_ = b;
  return v;
}

Value Value::integer(int64_t i) {
  Value v(Type::Int);
  v.integer_ = i;
  return v;
}

Value Value::number(double d) {
  Value v(Type::Float);
  v.double_ = d;
  return v;
}

Value Value::string(std::string text, bool safe) {
  Value v(Type::String);
  v.object_ = std::make_shared<StringObject>(StringObject{std::move(text), safe});
  return v;
}

Value Value::row(RowKind kind, Items items) {
  uint32_t depth = 0;
  for (const Value &item : items) depth = std::max(depth, item.depth());
  check_depth(depth + 1);
  Value v(Type::Row);
  v.object_ = std::make_shared<RowObject>(RowObject{kind, std::move(items), false, depth + 1});
  return v;
}

Value Value::dict(std::shared_ptr<DictObject> dict) {
  Value v(Type::Dict);
  v.object_ = std::move(dict);
  return v;
}

Value Value::ns(std::shared_ptr<NamespaceObject> ns) {
  Value v(Type::Namespace);
  v.object_ = std::move(ns);
  return v;
}

Value Value::function(std::shared_ptr<FunctionObject> function) {
  Value v(Type::Function);
  v.object_ = std::move(function);
  return v;
}

Value Value::from_json(const nlohmann::ordered_json &json, unsigned depth) {
  check_depth(depth);
  switch (json.type()) {
  case nlohmann::ordered_json::value_t::boolean: return boolean(json.get<bool>());
  case nlohmann::ordered_json::value_t::number_integer: return integer(json.get<int64_t>());
  case nlohmann::ordered_json::value_t::number_unsigned: {
    const uint64_t u = json.get<uint64_t>();
    if (u > static_cast<uint64_t>(INT64_MAX)) unsupported("whole numbers above 2^63");
    return integer(static_cast<int64_t>(u));
  }
  case nlohmann::ordered_json::value_t::number_float: return number(json.get<double>());
  case nlohmann::ordered_json::value_t::string: return string(json.get_ref<const std::string &>());
  case nlohmann::ordered_json::value_t::array: {
    Items items;
    items.reserve(json.size());
    for (const auto &item : json) items.push_back(from_json(item, depth + 1));
    return list(std::move(items));
  }
  case nlohmann::ordered_json::value_t::object: {
    auto made = std::make_shared<DictObject>();
    for (const auto &[key, item] : json.items()) made->set(string(key), from_json(item, depth + 1));
    return dict(std::move(made));
  }
  default: return none();
  }
}

std::string Value::why_undefined() const {
  return object_ ? static_cast<const StringObject *>(object_.get())->text : "value is undefined";
}

bool Value::is_same_object(const Value &other) const {
  if (type_ != other.type_) return false;
  if (object_ || other.object_) return object_ == other.object_;
  return type_ == Type::Float ? double_ == other.double_ : integer_ == other.integer_;
}

uint32_t Value::depth() const {
  if (type_ == Type::Row) return as_row().depth;
  if (type_ == Type::Dict) return as_dict().depth;
  return 0;
}

const Value *DictObject::find(std::string_view key) const {
  const auto found = strings_.find(std::string(key));
  return found == strings_.end() ? nullptr : &entries_[found->second].second;
}

size_t DictObject::index_of(const Value &key) const {
  if (key.is_string()) {
    const auto found = strings_.find(key.text());
    return found == strings_.end() ? entries_.size() : found->second;
  }
  const bool hashable = !key.is_dict() && !key.is_row(RowKind::List);
  if (!hashable) refuse("unhashable type: '" + type_name(key) + "'");
  for (size_t i = 0; i < entries_.size(); ++i)
    if (!entries_[i].first.is_string() && equals(entries_[i].first, key)) return i;
  return entries_.size();
}

const Value *DictObject::find(const Value &key) const {
  const size_t i = index_of(key);
  return i == entries_.size() ? nullptr : &entries_[i].second;
}

void DictObject::set(const Value &key, Value value) {
  depth = std::max({depth, value.depth() + 1, key.depth() + 1});
  check_depth(depth);
  const size_t i = index_of(key);
  if (i < entries_.size()) {
    entries_[i].second = std::move(value);
    return;
  }
  if (key.is_string()) strings_.emplace(key.text(), i);
  entries_.emplace_back(key, std::move(value));
}

bool Call::has(size_t place, std::string_view name) const {
  if (place < positional.size()) return true;
  return std::any_of(keyword.begin(), keyword.end(), [&](const auto &k) { return k.first == name; });
}

Value Call::take(size_t place, std::string_view name) {
  if (place < positional.size()) return positional[place];
  for (size_t i = 0; i < keyword.size(); ++i) {
    if (keyword[i].first != name) continue;
    Value value = std::move(keyword[i].second);
    keyword.erase(keyword.begin() + static_cast<std::ptrdiff_t>(i));
    return value;
  }
  return Value();
}

void Call::finish(std::string_view what, size_t most) const {
  if (positional.size() > most) refuse(std::string(what) + "() takes at most " + std::to_string(most) + " arguments");
  if (!keyword.empty())
    refuse(std::string(what) + "() got an unexpected keyword argument '" + keyword[0].first + "'");
}

bool is_true(const Value &value) {
  switch (value.type()) {
  case Type::Undefined:
  case Type::None: return false;
  case Type::Bool:
  case Type::Int: return value.as_int() != 0;
  case Type::Float: return value.as_double() != 0;
  case Type::String: return !value.text().empty();
  case Type::Row: return value.is_row(RowKind::Generator) || !value.as_row().items.empty();
  case Type::Dict: return !value.as_dict().entries().empty();
  default: return true;
  }
}

std::string type_name(const Value &value) {
  switch (value.type()) {
  case Type::Undefined: return "Undefined";
  case Type::None: return "NoneType";
  case Type::Bool: return "bool";
  case Type::Int: return "int";
  case Type::Float: return "float";
  case Type::String: return "str";
  case Type::Dict: return "dict";
  case Type::Namespace: return "Namespace";
  case Type::Function: return "function";
  case Type::Row: break;
  }
  switch (value.as_row().kind) {
  case RowKind::List: return "list";
  case RowKind::Tuple: return "tuple";
  case RowKind::Range: return "range";
  case RowKind::Generator: return "generator";
  case RowKind::KeysView: return "dict_keys";
  case RowKind::ValuesView: return "dict_values";
  case RowKind::ItemsView: return "dict_items";
  }
  return "object";
}

namespace {

bool rows_equal(const RowObject &a, const RowObject &b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equals(a.items[i], b.items[i])) return false;
  return true;
}

bool dicts_equal(const DictObject &a, const DictObject &b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto &[key, value] : a.entries()) {
    const Value *other = b.find(key);
    if (!other || !equals(value, *other)) return false;
  }
  return true;
}

} // namespace

bool equals(const Value &a, const Value &b) {
  if (a.is_integral() && b.is_integral()) return a.as_int() == b.as_int();
  if (a.is_number() && b.is_number()) return a.as_double() == b.as_double();
  if (a.type() != b.type()) return false;
  switch (a.type()) {
  case Type::Undefined:
  case Type::None: return true;
  case Type::String: return a.text() == b.text();
  case Type::Row: return a.is_same_object(b) || rows_equal(a.as_row(), b.as_row());
  case Type::Dict: return a.is_same_object(b) || dicts_equal(a.as_dict(), b.as_dict());
  default: return a.is_same_object(b);
  }
}

bool less(const Value &a, const Value &b) {
  if (a.is_undefined()) refuse(a.why_undefined());
  if (b.is_undefined()) refuse(b.why_undefined());
  if (a.is_integral() && b.is_integral()) return a.as_int() < b.as_int();
  if (a.is_number() && b.is_number()) return a.as_double() < b.as_double();
  if (a.is_string() && b.is_string()) return a.text() < b.text(); // UTF-8 sorts as code points do
  const bool rows = (a.is_row(RowKind::List) && b.is_row(RowKind::List)) ||
                    (a.is_row(RowKind::Tuple) && b.is_row(RowKind::Tuple));
  if (!rows)
    refuse("'<' not supported between instances of '" + type_name(a) + "' and '" + type_name(b) + "'");
  const Items &x = a.as_row().items, &y = b.as_row().items;
  for (size_t i = 0; i < x.size() && i < y.size(); ++i)
    if (!equals(x[i], y[i])) return less(x[i], y[i]);
  return x.size() < y.size();
}

bool is_iterable(const Value &value) {
  return value.is_undefined() || value.is_string() || value.is_row() || value.is_dict();
}

Items iterate(const Value &value) {
  Items out;
  if (value.is_undefined()) return out;
  if (value.is_string()) {
    for (std::string_view c : characters(value.text())) out.push_back(Value::string(std::string(c)));
    return out;
  }
  if (value.is_dict()) {
    for (const auto &entry : value.as_dict().entries()) out.push_back(entry.first);
    return out;
  }
  if (!value.is_row()) refuse("'" + type_name(value) + "' object is not iterable");
  RowObject &row = value.as_row();
  if (row.kind != RowKind::Generator) return row.items;
  if (!row.spent) out = std::move(row.items);
  row.spent = true;
  row.items.clear();
  return out;
}

int64_t length(const Value &value) {
  if (value.is_undefined()) return 0;
  if (value.is_string()) return static_cast<int64_t>(count_characters(value.text()));
  if (value.is_dict()) return static_cast<int64_t>(value.as_dict().entries().size());
  if (!value.is_row() || value.is_row(RowKind::Generator))
    refuse("object of type '" + type_name(value) + "' has no len()");
  return static_cast<int64_t>(value.as_row().items.size());
}

bool contains(const Value &container, const Value &item) {
  if (container.is_string()) {
    if (!item.is_string()) refuse("'in <string>' requires string as left operand, not " + type_name(item));
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.is_dict()) return container.as_dict().find(item) != nullptr;
  if (container.is_undefined()) return false;
  if (!container.is_row()) refuse("argument of type '" + type_name(container) + "' is not iterable");
  const Items items = iterate(container);
  return std::any_of(items.begin(), items.end(), [&](const Value &v) { return equals(v, item); });
}

} // namespace llmrt::chat
