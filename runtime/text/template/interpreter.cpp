#include "runtime/text/template/interpreter.h"

#include <algorithm>
#include <optional>
#include <nlohmann/json.hpp>

namespace llmrt::chat {

namespace {
constexpr unsigned kMostLevels = 900;
constexpr size_t kBytesAStep = 64; // copying so much counts as a step
constexpr uint64_t kMemoryFactor = 16; // values may take so many times what the output may

[[noreturn]] void exhausted(const std::string &what) {
  throw TemplateError("the template " + what, TemplateError::Kind::Exhausted);
}
} // namespace

void Scope::set(const std::string &name, Value value) {
  for (auto &variable : variables) {
    if (variable.first != name) continue;
    variable.second = std::move(value);
    return;
  }
  variables.emplace_back(name, std::move(value));
}

const Value *Scope::find(const std::string &name) const {
  for (const Scope *scope = this; scope; scope = scope->parent.get())
    for (const auto &variable : scope->variables)
      if (variable.first == name) return &variable.second;
  return nullptr;
}

Interpreter::Level::Level(Interpreter &interpreter) : interpreter(interpreter) {
  if (++interpreter.steps_ > interpreter.limits_.steps) exhausted("takes too many steps");
  if (interpreter.depth_ >= kMostLevels) exhausted("recurses too deep");
  ++interpreter.depth_;
}

Interpreter::Interpreter(const nlohmann::ordered_json &variables, const RenderLimits &limits) : limits_(limits) {
  globals_ = std::make_shared<Scope>(nullptr);
  add_globals(*globals_);
  auto context = std::make_shared<Scope>(globals_);
  for (const auto &[name, value] : variables.items()) context->variables.emplace_back(name, Value::from_json(value));
  root_ = std::make_shared<Scope>(context);
}

Interpreter::~Interpreter() {
  for (const auto &weak : macro_scopes_)
    if (const ScopePointer scope = weak.lock()) {
      auto variables = std::move(scope->variables);
      scope->variables.clear();
    }
}

std::string Interpreter::run(const Body &body) {
  std::string text;
  output_ = &text;
  exec(body, root_);
  return text;
}

void Interpreter::charge(size_t bytes) {
  steps_ += bytes / kBytesAStep;
  bytes_ += bytes;
  if (steps_ > limits_.steps) exhausted("takes too many steps");
  if (bytes_ / kMemoryFactor > limits_.output_bytes) exhausted("makes too much text");
}

void Interpreter::emit(std::string_view text) {
  charge(text.size());
  if (output_->size() + text.size() > limits_.output_bytes) exhausted("writes too much");
  output_->append(text);
}

Interpreter::Flow Interpreter::exec(const Body &body, ScopePointer &scope) {
  for (const NodePointer &node : body)
    if (const Flow flow = exec(*node, scope); flow != Flow::Next) return flow;
  return Flow::Next;
}

Interpreter::Flow Interpreter::exec(const Node &node, ScopePointer &scope) {
  Level level(*this);
  Flow flow = Flow::Next;
  switch (node.kind) {
  case Kind::Data: emit(node.value.text()); break;
  case Kind::Output: emit(to_text(eval(*node.children[0], scope))); break;
  case Kind::If: return exec_if(node, scope);
  case Kind::For: return exec_for(node, scope);
  case Kind::Set: assign(*node.children[0], eval(*node.children[1], scope), scope); break;
  case Kind::SetBlock: {
    Value text = Value::string(capture(node.body, std::make_shared<Scope>(scope), flow));
    if (flow != Flow::Next) return flow;
    if (node.children.size() > 1) text = eval_filter(*node.children[1], scope, &text);
    assign(*node.children[0], text, scope);
    break;
  }
  case Kind::Macro: scope->set(node.name, make_macro(node, scope)); break;
  case Kind::CallBlock: {
    const Value caller = make_macro(node, scope);
    emit(to_text(eval_call(*node.children[0], scope, &caller)));
    break;
  }
  case Kind::FilterBlock: {
    const Value text = Value::string(capture(node.body, std::make_shared<Scope>(scope), flow));
    if (flow != Flow::Next) return flow;
    emit(to_text(eval_filter(*node.children[0], scope, &text)));
    break;
  }
  case Kind::With: exec_with(node, scope); break;
  case Kind::Scope: {
    ScopePointer inner = std::make_shared<Scope>(scope);
    return exec(node.body, inner);
  }
  case Kind::Break: return Flow::Break;
  case Kind::Continue: return Flow::Continue;
  default: unsupported("this statement");
  }
  return flow;
}

Interpreter::Flow Interpreter::exec_if(const Node &node, ScopePointer &scope) {
  return exec(is_true(eval(*node.children[0], scope)) ? node.body : node.otherwise, scope);
}

void Interpreter::exec_with(const Node &node, ScopePointer &scope) {
  // Values are computed outside, before any of the names is set.
  ScopePointer inner = std::make_shared<Scope>(scope);
  Items values;
  for (size_t i = 1; i < node.children.size(); i += 2) values.push_back(eval(*node.children[i], scope));
  for (size_t i = 0; i < values.size(); ++i) assign(*node.children[2 * i], values[i], inner);
  exec(node.body, inner);
}

std::string Interpreter::capture(const Body &body, ScopePointer scope, Flow &flow) {
  std::string text;
  std::string *outer = output_;
  output_ = &text;
  try {
    flow = exec(body, scope);
  } catch (...) {
    output_ = outer;
    throw;
  }
  output_ = outer;
  return text;
}

void Interpreter::assign(const Node &target, const Value &value, ScopePointer &scope) {
  if (target.kind == Kind::Name) {
    scope->set(target.name, value);
    return;
  }
  if (target.kind == Kind::NamespaceTarget) {
    const Value *ns = scope->find(target.name);
    if (!ns || ns->type() != Type::Namespace) refuse("cannot assign an attribute to something that is no namespace");
    const std::string &name = target.value.text();
    if (name.starts_with("_")) refuse("a namespace's attribute cannot begin with an underscore: " + name);
    if (value.type() == Type::Namespace) unsupported("a namespace inside a namespace");
    auto &attributes = ns->as_ns().attributes;
    const auto found = std::find_if(attributes.begin(), attributes.end(), [&](auto &a) { return a.first == name; });
    if (found != attributes.end()) found->second = value;
    else attributes.emplace_back(name, value);
    return;
  }
  const Items items = iterate(value);
  if (value.is_undefined()) refuse(value.why_undefined());
  if (items.size() != target.children.size())
    refuse("cannot unpack " + std::to_string(items.size()) + " values into " +
           std::to_string(target.children.size()));
  for (size_t i = 0; i < items.size(); ++i) assign(*target.children[i], items[i], scope);
}

namespace {

// What `loop` knows.
struct LoopState {
  Items items;
  size_t index = 0;
  Value result;               // of the last attribute
  std::optional<Value> changed; // loop.changed()'s last arguments

  const Value *attribute(std::string_view name) {
    const auto n = static_cast<int64_t>(items.size()), i = static_cast<int64_t>(index);
    if (name == "index") result = Value::integer(i + 1);
    else if (name == "index0") result = Value::integer(i);
    else if (name == "revindex") result = Value::integer(n - i);
    else if (name == "revindex0") result = Value::integer(n - i - 1);
    else if (name == "first") result = Value::boolean(i == 0);
    else if (name == "last") result = Value::boolean(i + 1 == n);
    else if (name == "length") result = Value::integer(n);
    else if (name == "depth") result = Value::integer(1);
    else if (name == "depth0") result = Value::integer(0);
    else if (name == "previtem") result = i > 0 ? items[index - 1] : Value::undefined("there is no previous item");
    else if (name == "nextitem") result = i + 1 < n ? items[index + 1] : Value::undefined("there is no next item");
    else return nullptr;
    return &result;
  }
};

Value loop_method(const std::shared_ptr<LoopState> &state, std::string_view name) {
  auto function = std::make_shared<FunctionObject>();
  function->name = std::string(name);
  if (name == "cycle") {
    function->call = [state](Interpreter &, Call &call) {
      if (call.positional.empty()) refuse("no items for cycling given");
      return call.positional[state->index % call.positional.size()];
    };
  } else {
    function->call = [state](Interpreter &, Call &call) {
      Value now = Value::row(RowKind::Tuple, call.positional);
      const bool changed = !state->changed || !equals(*state->changed, now);
      state->changed = std::move(now);
      return Value::boolean(changed);
    };
  }
  return Value::function(std::move(function));
}

Value make_loop(const std::shared_ptr<LoopState> &state) {
  auto function = std::make_shared<FunctionObject>();
  function->name = "loop";
  function->call = [](Interpreter &, Call &) -> Value { refuse("the loop is not recursive"); };
  function->attribute = [state, methods = Items{loop_method(state, "cycle"), loop_method(state, "changed")}](
                            std::string_view name) -> const Value * {
    if (name == "cycle") return &methods[0];
    if (name == "changed") return &methods[1];
    return state->attribute(name);
  };
  return Value::function(std::move(function));
}

} // namespace

Interpreter::Flow Interpreter::exec_for(const Node &node, ScopePointer &scope) {
  auto state = std::make_shared<LoopState>();
  state->items = iterate(eval(*node.children[1], scope));
  charge(state->items.size() * sizeof(Value));
  if (node.children.size() > 2) {
    Items kept;
    for (const Value &item : state->items) {
      ScopePointer inner = std::make_shared<Scope>(scope);
      assign(*node.children[0], item, inner);
      if (is_true(eval(*node.children[2], inner))) kept.push_back(item);
    }
    state->items = std::move(kept);
  }
  const Value loop = make_loop(state);
  for (state->index = 0; state->index < state->items.size(); ++state->index) {
    ScopePointer inner = std::make_shared<Scope>(scope);
    inner->set("loop", loop);
    assign(*node.children[0], state->items[state->index], inner);
    if (exec(node.body, inner) == Flow::Break) break;
  }
  if (!state->items.empty() || node.otherwise.empty()) return Flow::Next;
  ScopePointer inner = std::make_shared<Scope>(scope);
  return exec(node.otherwise, inner);
}

Value Interpreter::make_macro(const Node &node, const ScopePointer &scope) {
  auto function = std::make_shared<FunctionObject>();
  function->name = node.name;
  function->is_macro = true;
  function->call = [&node, scope](Interpreter &interpreter, Call &call) {
    return interpreter.run_macro(node, scope, call);
  };
  if (macro_scopes_.empty() || macro_scopes_.back().lock() != scope) macro_scopes_.push_back(scope);
  return Value::function(std::move(function));
}

Value Interpreter::run_macro(const Node &node, const ScopePointer &scope, Call &call) {
  Level level(*this);
  ScopePointer inner = std::make_shared<Scope>(scope);
  const size_t count = node.parameters.size();
  const Items rest(call.positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, call.positional.size())),
                   call.positional.end());
  for (size_t i = 0; i < count; ++i) {
    const Parameter &parameter = node.parameters[i];
    const bool given = call.has(i, parameter.name);
    Value value = given ? call.take(i, parameter.name)
                  : parameter.otherwise
                      ? eval(*parameter.otherwise, inner)
                      : Value::undefined("parameter '" + parameter.name + "' was not provided");
    inner->set(parameter.name, std::move(value));
  }
  if (node.takes_caller)
    inner->set("caller", call.has(SIZE_MAX, "caller") ? call.take(SIZE_MAX, "caller")
                                                      : Value::undefined("No caller defined"));
  if (node.takes_kwargs) {
    auto kwargs = std::make_shared<DictObject>();
    for (auto &[name, value] : call.keyword) kwargs->set(Value::string(name), value);
    call.keyword.clear();
    inner->set("kwargs", Value::dict(std::move(kwargs)));
  }
  if (node.takes_varargs) inner->set("varargs", Value::row(RowKind::Tuple, rest));
  call.finish("macro " + node.name, node.takes_varargs ? SIZE_MAX : count);
  Flow flow = Flow::Next;
  return Value::string(capture(node.body, inner, flow));
}

Value Interpreter::call(const Value &function, Call &call) {
  Level level(*this);
  if (function.is_undefined()) refuse(function.why_undefined());
  if (function.type() != Type::Function) refuse("'" + type_name(function) + "' object is not callable");
  return function.as_function().call(*this, call);
}

Value Interpreter::eval_call(const Node &node, ScopePointer &scope, const Value *caller) {
  const Value function = eval(*node.children[0], scope);
  Call arguments = eval_arguments(node.arguments, scope);
  if (caller) arguments.keyword.emplace_back("caller", *caller);
  return call(function, arguments);
}

} // namespace llmrt::chat
