// Walks a template's tree. All its functions throw TemplateError.
#pragma once

#include "runtime/text/chat_template.h"
#include "runtime/text/template/ast.h"

#include <memory>
#include <string>
#include <vector>

namespace llmrt::chat {

// Variables of one body. Inner ones hide outer ones; assignments go to the innermost.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> parent) : parent(std::move(parent)) {}
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> variables;

  void set(const std::string &name, Value value);
  const Value *find(const std::string &name) const;
};
using ScopePointer = std::shared_ptr<Scope>;

class Interpreter {
public:
  Interpreter(const nlohmann::ordered_json &variables, const RenderLimits &limits);
  ~Interpreter();
  std::string run(const Body &body);

  // For filters, tests and methods.
  Value call(const Value &function, Call &call);
  void charge(size_t bytes); // work and memory that a value of so many bytes costs
  const RenderLimits &limits() const { return limits_; }

private:
  enum class Flow { Next, Break, Continue };

  // Of recursion; a level takes about half a KiB of stack, an optimised build given.
  struct Level {
    explicit Level(Interpreter &interpreter);
    ~Level() { --interpreter.depth_; }
    Interpreter &interpreter;
  };

  // Statements.
  Flow exec(const Body &body, ScopePointer &scope);
  Flow exec(const Node &node, ScopePointer &scope);
  Flow exec_if(const Node &node, ScopePointer &scope);
  Flow exec_for(const Node &node, ScopePointer &scope);
  void exec_with(const Node &node, ScopePointer &scope);
  void assign(const Node &target, const Value &value, ScopePointer &scope);
  std::string capture(const Body &body, ScopePointer scope, Flow &flow);
  Value make_macro(const Node &node, const ScopePointer &scope);
  Value run_macro(const Node &node, const ScopePointer &scope, Call &call);
  void emit(std::string_view text);

  // Expressions.
  Value eval(const Node &node, ScopePointer &scope);
  Value eval_name(const Node &node, const ScopePointer &scope);
  Value eval_items(const Node &node, RowKind kind, ScopePointer &scope);
  Value eval_dict(const Node &node, ScopePointer &scope);
  Value eval_compare(const Node &node, ScopePointer &scope);
  Value eval_concat(const Node &node, ScopePointer &scope);
  Value eval_binary(const Node &node, ScopePointer &scope);
  Value eval_slice(const Node &node, ScopePointer &scope);
  Value eval_call(const Node &node, ScopePointer &scope, const Value *caller);
  Value eval_filter(const Node &node, ScopePointer &scope, const Value *block);
  Value eval_test(const Node &node, ScopePointer &scope);
  Call eval_arguments(const Arguments &arguments, ScopePointer &scope);

  const RenderLimits limits_;
  ScopePointer globals_, root_;
  std::vector<std::weak_ptr<Scope>> macro_scopes_; // whose cycles are cut at the end
  std::string *output_ = nullptr;
  uint64_t steps_ = 0, bytes_ = 0;
  unsigned depth_ = 0;
};

// operators.cpp: Python's operators.
Value add(const Value &a, const Value &b);
Value arithmetic(Kind kind, const Value &a, const Value &b);
Value negative(const Value &value);
Value get_attribute(const Value &object, const std::string &name);
Value get_item(const Value &object, const Value &index);
Value get_slice(const Value &object, const Value &start, const Value &stop, const Value &step);

// methods.cpp: what Python's str, list and dict have under that name; none: undefined with no reason.
bool has_method(const Value &object, std::string_view name);
Value get_method(const Value &object, const std::string &name);

// filters.cpp, tests.cpp. `call` has the operand at its first place.
Value apply_filter(Interpreter &interpreter, const std::string &name, Call &call);
bool apply_test(Interpreter &interpreter, const std::string &name, Call &call);
bool is_filter(std::string_view name);
bool is_test(std::string_view name);

// functions.cpp: range, dict, namespace, joiner, cycler, raise_exception, strftime_now.
void add_globals(Scope &scope);

// json_text.cpp: Python's json.dumps.
struct JsonOptions {
  bool ascii = false, sorted = false, pretty = false;
  std::string indent, item_separator = ", ", key_separator = ": ";
};
std::string to_json(const Value &value, const JsonOptions &options);

// format.cpp: Python's `format % arguments` and str.format.
std::string percent_format(const std::string &format, const Value &arguments);
std::string brace_format(const std::string &format, const Call &call);

std::string escape_html(std::string_view text);

} // namespace llmrt::chat
