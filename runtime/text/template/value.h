// The values of chat templates: Python's, as far as templates can tell.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace llmrt::chat {

// Thrown inside the template library only; parse() and render() turn it into a Status.
class TemplateError : public std::runtime_error {
public:
  enum class Kind { Refused, Unsupported, Exhausted };
  explicit TemplateError(const std::string &message, Kind kind = Kind::Refused)
      : std::runtime_error(message), kind(kind) {}
  Kind kind;
};

[[noreturn]] void refuse(const std::string &message);
[[noreturn]] void unsupported(const std::string &message);

class Value;
class Interpreter;
struct Call;

using Items = std::vector<Value>;

struct StringObject {
  std::string text; // UTF-8
  bool safe;        // Markup: what is joined to it by + is escaped
};

// Lists, tuples and everything else that is a row of values. A generator can be read once and has no length.
enum class RowKind : uint8_t { List, Tuple, Range, Generator, KeysView, ValuesView, ItemsView };

struct RowObject {
  RowKind kind;
  Items items;
  bool spent = false; // a generator that was read
  uint32_t depth = 0; // of nesting, this one included
};

class DictObject {
public:
  // Null where the key is missing; refuses an unhashable key.
  const Value *find(const Value &key) const;
  const Value *find(std::string_view key) const;
  void set(const Value &key, Value value);
  const std::vector<std::pair<Value, Value>> &entries() const { return entries_; }
  uint32_t depth = 1;

private:
  size_t index_of(const Value &key) const;
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> strings_; // of keys that are strings
};

struct NamespaceObject {
  std::vector<std::pair<std::string, Value>> attributes;
};

// Something that can be called, and the attributes some of them have (loop.index).
struct FunctionObject {
  std::string name;
  bool is_macro = false;
  std::function<Value(Interpreter &, Call &)> call;
  std::function<const Value *(std::string_view)> attribute; // may be empty
};

enum class Type : uint8_t { Undefined, None, Bool, Int, Float, String, Row, Dict, Namespace, Function };

class Value {
public:
  Value() = default; // undefined
  static Value undefined(std::string why);
  static Value none() { return Value(Type::None); }
  static Value boolean(bool b);
  static Value integer(int64_t i);
  static Value number(double d);
  static Value string(std::string text, bool safe = false);
  static Value row(RowKind kind, Items items);
  static Value list(Items items) { return row(RowKind::List, std::move(items)); }
  static Value dict(std::shared_ptr<DictObject> dict);
  static Value ns(std::shared_ptr<NamespaceObject> ns);
  static Value function(std::shared_ptr<FunctionObject> function);
  // Refuses values nested more than 128 deep.
  static Value from_json(const nlohmann::ordered_json &json, unsigned depth = 0);

  Type type() const { return type_; }
  bool is_undefined() const { return type_ == Type::Undefined; }
  bool is_none() const { return type_ == Type::None; }
  bool is_string() const { return type_ == Type::String; }
  bool is_row() const { return type_ == Type::Row; }
  bool is_dict() const { return type_ == Type::Dict; }
  bool is_integral() const { return type_ == Type::Int || type_ == Type::Bool; }
  bool is_number() const { return is_integral() || type_ == Type::Float; }

  bool as_bool() const { return integer_ != 0; }
  int64_t as_int() const { return integer_; } // of an Int or a Bool
  double as_double() const { return type_ == Type::Float ? double_ : static_cast<double>(integer_); }
  const std::string &text() const { return static_cast<const StringObject *>(object_.get())->text; }
  bool is_safe() const { return is_string() && static_cast<const StringObject *>(object_.get())->safe; }
  RowObject &as_row() const { return *static_cast<RowObject *>(object_.get()); }
  bool is_row(RowKind kind) const { return is_row() && as_row().kind == kind; }
  DictObject &as_dict() const { return *static_cast<DictObject *>(object_.get()); }
  NamespaceObject &as_ns() const { return *static_cast<NamespaceObject *>(object_.get()); }
  FunctionObject &as_function() const { return *static_cast<FunctionObject *>(object_.get()); }
  std::string why_undefined() const;
  bool is_same_object(const Value &other) const;
  uint32_t depth() const;

private:
  explicit Value(Type type) : type_(type) {}
  Type type_ = Type::Undefined;
  union {
    int64_t integer_ = 0;
    double double_;
  };
  std::shared_ptr<void> object_;
};

struct Call {
  Items positional;
  std::vector<std::pair<std::string, Value>> keyword;

  // The argument of that place or name; undefined where it was not given. Marks it as taken.
  Value take(size_t place, std::string_view name);
  bool has(size_t place, std::string_view name) const;
  // Refuses what take() did not take; `what` names the function.
  void finish(std::string_view what, size_t most) const;
};

// Python's str(), repr(), bool(), type().__name__ and ==.
std::string to_text(const Value &value);
std::string to_repr(const Value &value);
bool is_true(const Value &value);
std::string type_name(const Value &value);
bool equals(const Value &a, const Value &b);
// Python's <, for sorting and comparing; refuses what Python refuses.
bool less(const Value &a, const Value &b);
// What iterating gives: a string's characters, a dict's keys. Reads a generator. Refuses what cannot be iterated.
Items iterate(const Value &value);
bool is_iterable(const Value &value);
int64_t length(const Value &value); // len()
bool contains(const Value &container, const Value &item);
std::string float_text(double value); // repr of a float

} // namespace llmrt::chat
