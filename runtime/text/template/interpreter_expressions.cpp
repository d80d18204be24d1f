#include "runtime/text/template/interpreter.h"

#include <algorithm>

namespace llmrt::chat {

Value Interpreter::eval(const Node &node, ScopePointer &scope) {
  Level level(*this);
  switch (node.kind) {
  case Kind::Constant: return node.value;
  case Kind::Name: return eval_name(node, scope);
  case Kind::Tuple: return eval_items(node, RowKind::Tuple, scope);
  case Kind::List: return eval_items(node, RowKind::List, scope);
  case Kind::Dict: return eval_dict(node, scope);
  case Kind::Condition:
    if (is_true(eval(*node.children[0], scope))) return eval(*node.children[1], scope);
    if (node.children.size() > 2) return eval(*node.children[2], scope);
    return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
  case Kind::Or: {
    Value left = eval(*node.children[0], scope);
    return is_true(left) ? left : eval(*node.children[1], scope);
  }
  case Kind::And: {
    Value left = eval(*node.children[0], scope);
    return is_true(left) ? eval(*node.children[1], scope) : left;
  }
  case Kind::Not: return Value::boolean(!is_true(eval(*node.children[0], scope)));
  case Kind::Negative: return negative(eval(*node.children[0], scope));
  case Kind::Positive: {
    Value value = eval(*node.children[0], scope);
    if (!value.is_number()) refuse("bad operand type for unary +: '" + type_name(value) + "'");
    return value.type() == Type::Bool ? Value::integer(value.as_int()) : value;
  }
  case Kind::Compare: return eval_compare(node, scope);
  case Kind::Concat: return eval_concat(node, scope);
  case Kind::Attribute: return get_attribute(eval(*node.children[0], scope), node.name);
  case Kind::Item: {
    const Value object = eval(*node.children[0], scope);
    return get_item(object, eval(*node.children[1], scope));
  }
  case Kind::Slice: return eval_slice(node, scope);
  case Kind::Call: return eval_call(node, scope, nullptr);
  case Kind::Filter: return eval_filter(node, scope, nullptr);
  case Kind::Test: return eval_test(node, scope);
  default: return eval_binary(node, scope);
  }
}

Value Interpreter::eval_name(const Node &node, const ScopePointer &scope) {
  if (const Value *value = scope->find(node.name)) return *value;
  return Value::undefined("'" + node.name + "' is undefined");
}

Value Interpreter::eval_items(const Node &node, RowKind kind, ScopePointer &scope) {
  Items items;
  for (const NodePointer &child : node.children) items.push_back(eval(*child, scope));
  charge(items.size() * sizeof(Value));
  return Value::row(kind, std::move(items));
}

Value Interpreter::eval_dict(const Node &node, ScopePointer &scope) {
  auto dict = std::make_shared<DictObject>();
  for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const Value key = eval(*node.children[i], scope);
    dict->set(key, eval(*node.children[i + 1], scope));
  }
  return Value::dict(std::move(dict));
}

namespace {

bool compare(const std::string &op, const Value &a, const Value &b) {
  if (op == "==") return equals(a, b);
  if (op == "!=") return !equals(a, b);
  if (op == "in") return contains(b, a);
  if (op == "not in") return !contains(b, a);
  if (op == "<") return less(a, b);
  if (op == ">") return less(b, a);
  // <= and >= on numbers must be false for NaN.
  if (a.is_number() && b.is_number() && !(a.is_integral() && b.is_integral()))
    return op == "<=" ? a.as_double() <= b.as_double() : a.as_double() >= b.as_double();
  return op == "<=" ? !less(b, a) : !less(a, b);
}

} // namespace

Value Interpreter::eval_compare(const Node &node, ScopePointer &scope) {
  Value left = eval(*node.children[0], scope);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    Value right = eval(*node.children[i + 1], scope);
    if (left.is_string() && right.is_string()) charge(std::min(left.text().size(), right.text().size()));
    if (!compare(node.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_concat(const Node &node, ScopePointer &scope) {
  std::string text;
  for (const NodePointer &child : node.children) text += to_text(eval(*child, scope));
  charge(text.size());
  return Value::string(std::move(text));
}

Value Interpreter::eval_binary(const Node &node, ScopePointer &scope) {
  const Value left = eval(*node.children[0], scope);
  const Value right = eval(*node.children[1], scope);
  const bool repeats = node.kind == Kind::Multiply && (left.is_integral() || right.is_integral());
  if (repeats) {
    const Value &what = left.is_integral() ? right : left, &times = left.is_integral() ? left : right;
    const size_t one = what.is_string() ? what.text().size() : what.is_row() ? what.as_row().items.size() * 16 : 0;
    const uint64_t most = one > 0 && times.as_int() > 0 ? SIZE_MAX / 4 / one : 0;
    charge(one * std::min(most, static_cast<uint64_t>(std::max<int64_t>(times.as_int(), 0))));
  }
  Value result = node.kind == Kind::Add ? add(left, right) : arithmetic(node.kind, left, right);
  if (result.is_string() && !repeats) charge(result.text().size());
  if (result.is_row()) charge(result.as_row().items.size() * sizeof(Value));
  return result;
}

Value Interpreter::eval_slice(const Node &node, ScopePointer &scope) {
  const Value object = eval(*node.children[0], scope);
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i)
    bounds[i] = node.children[i + 1] ? eval(*node.children[i + 1], scope) : Value::none();
  if (object.is_string()) charge(object.text().size());
  return get_slice(object, bounds[0], bounds[1], bounds[2]);
}

Call Interpreter::eval_arguments(const Arguments &arguments, ScopePointer &scope) {
  Call call;
  for (const NodePointer &node : arguments.positional) call.positional.push_back(eval(*node, scope));
  for (const auto &[name, node] : arguments.keyword) call.keyword.emplace_back(name, eval(*node, scope));
  if (arguments.star)
    for (Value &value : iterate(eval(*arguments.star, scope))) call.positional.push_back(std::move(value));
  if (!arguments.double_star) return call;
  const Value more = eval(*arguments.double_star, scope);
  if (!more.is_dict()) refuse("the argument after ** must be a mapping, not " + type_name(more));
  for (const auto &[key, value] : more.as_dict().entries()) {
    if (!key.is_string()) refuse("keywords must be strings");
    if (call.has(SIZE_MAX, key.text())) refuse("two values for the keyword argument '" + key.text() + "'");
    call.keyword.emplace_back(key.text(), value);
  }
  return call;
}

Value Interpreter::eval_filter(const Node &node, ScopePointer &scope, const Value *block) {
  const Node *operand = node.children[0].get();
  // A block's filters are a chain whose innermost operand is the block's text.
  const bool chained = operand && operand->kind == Kind::Filter && block;
  Value value = chained ? eval_filter(*operand, scope, block) : operand ? eval(*operand, scope) : *block;
  Call call = eval_arguments(node.arguments, scope);
  if (value.is_string()) charge(value.text().size());
  call.positional.insert(call.positional.begin(), std::move(value));
  Value result = apply_filter(*this, node.name, call);
  if (result.is_string()) charge(result.text().size());
  return result;
}

Value Interpreter::eval_test(const Node &node, ScopePointer &scope) {
  Value value = eval(*node.children[0], scope);
  Call call = eval_arguments(node.arguments, scope);
  call.positional.insert(call.positional.begin(), std::move(value));
  return Value::boolean(apply_test(*this, node.name, call));
}

} // namespace llmrt::chat
