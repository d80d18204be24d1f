#include "runtime/text/template/parser.h"

#include <algorithm>

namespace llmrt::chat {

NodePointer Parser::tuple(bool with_condition, bool in_parentheses, std::string_view end_name) {
  NodePointer node = make(Kind::Tuple);
  bool is_tuple = false;
  while (true) {
    const bool ends = current().kind == TokenKind::VariableEnd || current().kind == TokenKind::BlockEnd ||
                      current().is_op(")") || (!end_name.empty() && current().is_name(end_name));
    if (ends) break;
    node->children.push_back(expression(with_condition));
    if (!take_op(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return seal(std::move(node));
  if (!node->children.empty()) return std::move(node->children[0]);
  if (!in_parentheses) fail("expected an expression");
  return node;
}

NodePointer Parser::expression(bool with_condition) {
  Nesting nesting(*this);
  return with_condition ? condition() : disjunction();
}

NodePointer Parser::condition() {
  NodePointer then = disjunction();
  while (take_name("if")) {
    NodePointer node = make(Kind::Condition);
    node->children.push_back(disjunction());
    node->children.push_back(std::move(then));
    if (take_name("else")) node->children.push_back(expression());
    then = seal(std::move(node));
  }
  return then;
}

NodePointer Parser::disjunction() {
  NodePointer left = conjunction();
  while (take_name("or")) left = make(Kind::Or, std::move(left), conjunction());
  return left;
}

NodePointer Parser::conjunction() {
  NodePointer left = negation();
  while (take_name("and")) left = make(Kind::And, std::move(left), negation());
  return left;
}

NodePointer Parser::negation() {
  if (!current().is_name("not")) return comparison();
  Nesting nesting(*this);
  NodePointer node = make(Kind::Not);
  take();
  node->children.push_back(negation());
  return seal(std::move(node));
}

NodePointer Parser::comparison() {
  NodePointer node = make(Kind::Compare);
  node->children.push_back(sum());
  while (true) {
    const Token &token = current();
    static constexpr std::string_view kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
    const bool compares = token.kind == TokenKind::Operator &&
                          std::find(std::begin(kOperators), std::end(kOperators), token.text) != std::end(kOperators);
    if (compares) {
      node->operators.push_back(take().text);
    } else if (take_name("in")) {
      node->operators.push_back("in");
    } else if (token.is_name("not") && look().is_name("in")) {
      take();
      take();
      node->operators.push_back("not in");
    } else {
      break;
    }
    node->children.push_back(sum());
  }
  if (node->operators.empty()) return std::move(node->children[0]);
  return seal(std::move(node));
}

NodePointer Parser::sum() {
  NodePointer left = concatenation();
  while (true) {
    if (take_op("+")) left = make(Kind::Add, std::move(left), concatenation());
    else if (take_op("-")) left = make(Kind::Subtract, std::move(left), concatenation());
    else return left;
  }
}

NodePointer Parser::concatenation() {
  NodePointer node = make(Kind::Concat);
  node->children.push_back(product());
  while (take_op("~")) node->children.push_back(product());
  if (node->children.size() == 1) return std::move(node->children[0]);
  return seal(std::move(node));
}

NodePointer Parser::product() {
  NodePointer left = power();
  while (true) {
    if (take_op("*")) left = make(Kind::Multiply, std::move(left), power());
    else if (take_op("/")) left = make(Kind::Divide, std::move(left), power());
    else if (take_op("//")) left = make(Kind::FloorDivide, std::move(left), power());
    else if (take_op("%")) left = make(Kind::Modulo, std::move(left), power());
    else return left;
  }
}

NodePointer Parser::power() {
  NodePointer left = unary(true);
  while (take_op("**")) left = make(Kind::Power, std::move(left), unary(true));
  return left;
}

NodePointer Parser::unary(bool with_filter) {
  Nesting nesting(*this);
  NodePointer node;
  if (current().is_op("-") || current().is_op("+")) {
    node = make(current().is_op("-") ? Kind::Negative : Kind::Positive);
    take();
    node->children.push_back(unary(false));
    node = seal(std::move(node));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filters(std::move(node)) : std::move(node);
}

NodePointer Parser::primary() {
  const Token &token = current();
  NodePointer node = make(Kind::Constant);
  if (token.kind == TokenKind::Name) {
    const std::string name = take().text;
    if (name == "true" || name == "True") node->value = Value::boolean(true);
    else if (name == "false" || name == "False") node->value = Value::boolean(false);
    else if (name == "none" || name == "None") node->value = Value::none();
    else {
      node->kind = Kind::Name;
      node->name = name;
    }
    return node;
  }
  if (token.kind == TokenKind::String) {
    std::string text;
    while (current().kind == TokenKind::String) text += take().text; // neighbours are joined
    node->value = Value::string(std::move(text));
    return node;
  }
  if (token.kind == TokenKind::Integer) {
    node->value = Value::integer(take().integer);
    return node;
  }
  if (token.kind == TokenKind::Float) {
    node->value = Value::number(take().number);
    return node;
  }
  if (take_op("(")) {
    NodePointer inner = tuple(true, true, "");
    expect_op(")");
    return inner;
  }
  if (token.is_op("[")) return list();
  if (token.is_op("{")) return dict();
  fail("unexpected '" + token.text + "'");
}

NodePointer Parser::list() {
  NodePointer node = make(Kind::List);
  expect_op("[");
  while (!current().is_op("]")) {
    if (!node->children.empty()) expect_op(",");
    if (current().is_op("]")) break;
    node->children.push_back(expression());
  }
  expect_op("]");
  return seal(std::move(node));
}

NodePointer Parser::dict() {
  NodePointer node = make(Kind::Dict);
  expect_op("{");
  while (!current().is_op("}")) {
    if (!node->children.empty()) expect_op(",");
    if (current().is_op("}")) break;
    node->children.push_back(expression());
    expect_op(":");
    node->children.push_back(expression());
  }
  expect_op("}");
  return seal(std::move(node));
}

NodePointer Parser::postfix(NodePointer node) {
  // Each step is a level of the tree, walked by recursion later.
  for (unsigned steps = 0;; ++steps) {
    if (steps > 100) fail("more than 100 subscripts and calls in a row");
    if (current().is_op(".") || current().is_op("[")) {
      node = subscript(std::move(node));
    } else if (current().is_op("(")) {
      NodePointer call = make(Kind::Call);
      call->children.push_back(std::move(node));
      call->arguments = arguments();
      node = seal(std::move(call));
    } else {
      return node;
    }
  }
}

NodePointer Parser::filters(NodePointer node) {
  for (unsigned steps = 0;; ++steps) {
    if (steps > 100) fail("more than 100 filters in a row");
    if (take_op("|")) {
      node = filter(std::move(node));
    } else if (current().is_name("is")) {
      node = test(std::move(node));
    } else if (current().is_op("(")) {
      NodePointer call = make(Kind::Call);
      call->children.push_back(std::move(node));
      call->arguments = arguments();
      node = seal(std::move(call));
    } else {
      return node;
    }
  }
}

std::string Parser::dotted_name() {
  std::string name = expect_name();
  while (take_op(".")) name += "." + expect_name();
  return name;
}

NodePointer Parser::filter(NodePointer operand) {
  NodePointer node = make(Kind::Filter);
  node->name = dotted_name();
  node->children.push_back(std::move(operand));
  if (current().is_op("(")) node->arguments = arguments();
  return seal(std::move(node));
}

NodePointer Parser::test(NodePointer operand) {
  NodePointer node = make(Kind::Test);
  take();
  const bool negated = take_name("not");
  node->name = dotted_name();
  node->children.push_back(std::move(operand));
  const Token &token = current();
  const bool has_operand = token.kind == TokenKind::Name || token.kind == TokenKind::String ||
                           token.kind == TokenKind::Integer || token.kind == TokenKind::Float || token.is_op("[") ||
                           token.is_op("{");
  if (token.is_op("(")) {
    node->arguments = arguments();
  } else if (has_operand && !at_name({"else", "or", "and"})) {
    if (at_name({"is"})) fail("tests cannot be chained with 'is'");
    node->arguments.positional.push_back(postfix(primary()));
  }
  node = seal(std::move(node));
  if (!negated) return node;
  NodePointer inverse = make(Kind::Not);
  inverse->children.push_back(std::move(node));
  return seal(std::move(inverse));
}

NodePointer Parser::subscript(NodePointer object) {
  if (take_op(".")) {
    NodePointer node = make(Kind::Attribute);
    if (current().kind == TokenKind::Integer) {
      NodePointer index = make(Kind::Constant);
      index->value = Value::integer(take().integer);
      return make(Kind::Item, std::move(object), std::move(index));
    }
    node->name = expect_name();
    node->children.push_back(std::move(object));
    return seal(std::move(node));
  }
  expect_op("[");
  NodePointer index = current().is_op(":") ? nullptr : expression();
  if (current().is_op(":")) return slice(std::move(object), std::move(index));
  if (current().is_op(",")) fail("unsupported: several subscripts in one pair of brackets");
  expect_op("]");
  return make(Kind::Item, std::move(object), std::move(index));
}

NodePointer Parser::slice(NodePointer object, NodePointer start) {
  NodePointer node = make(Kind::Slice, std::move(object), std::move(start));
  for (int part = 0; part < 2; ++part) {
    const bool given = take_op(":") && !current().is_op(":") && !current().is_op("]");
    node->children.push_back(given ? expression() : nullptr);
  }
  expect_op("]");
  return seal(std::move(node));
}

Arguments Parser::arguments() {
  Arguments out;
  expect_op("(");
  bool first = true;
  while (!current().is_op(")")) {
    if (!first) expect_op(",");
    if (current().is_op(")")) break;
    first = false;
    if (take_op("*")) {
      if (out.star || out.double_star) fail("a second '*'");
      out.star = expression();
    } else if (take_op("**")) {
      if (out.double_star) fail("a second '**'");
      out.double_star = expression();
    } else if (current().kind == TokenKind::Name && look().is_op("=")) {
      std::string name = take().text;
      take();
      if (out.double_star) fail("an argument after '**'");
      out.keyword.emplace_back(std::move(name), expression());
    } else {
      if (out.star || out.double_star || !out.keyword.empty()) fail("a positional argument after a keyword");
      out.positional.push_back(expression());
    }
  }
  expect_op(")");
  return out;
}

} // namespace llmrt::chat
