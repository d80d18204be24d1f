#include "runtime/text/template/parser.h"

#include <algorithm>

namespace llmrt::chat {

namespace {
constexpr unsigned kMostDepth = 120;
constexpr uint32_t kMostHeight = 300;
} // namespace

Body parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

Parser::Nesting::Nesting(Parser &parser) : parser(parser) {
  if (++parser.depth_ > kMostDepth) parser.fail("nested more than 120 deep");
}

void Parser::fail(const std::string &message) const { refuse_at(message, current().line, current().column); }

bool Parser::take_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  ++at_;
  return true;
}

bool Parser::take_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++at_;
  return true;
}

void Parser::expect_op(std::string_view op) {
  if (!take_op(op)) fail("expected '" + std::string(op) + "', found '" + current().text + "'");
}

std::string Parser::expect_name() {
  if (current().kind != TokenKind::Name) fail("expected a name, found '" + current().text + "'");
  return take().text;
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) fail("expected " + std::string(what) + ", found '" + current().text + "'");
  take();
}

bool Parser::at_name(Names names) const {
  return current().kind == TokenKind::Name &&
         std::any_of(names.begin(), names.end(), [&](std::string_view n) { return current().text == n; });
}

NodePointer Parser::make(Kind kind) const {
  auto node = std::make_unique<Node>(kind, static_cast<uint32_t>(current().line),
                                     static_cast<uint32_t>(current().column));
  return node;
}

NodePointer Parser::make(Kind kind, NodePointer left, NodePointer right) const {
  NodePointer node = make(kind);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return seal(std::move(node));
}

NodePointer Parser::seal(NodePointer node) const {
  uint32_t below = 0;
  const auto see = [&](const NodePointer &part) { below = std::max(below, part ? part->height : 0); };
  for (const Body *parts : {&node->children, &node->body, &node->otherwise, &node->arguments.positional})
    for (const NodePointer &part : *parts) see(part);
  for (const auto &keyword : node->arguments.keyword) see(keyword.second);
  for (const Parameter &parameter : node->parameters) see(parameter.otherwise);
  see(node->arguments.star);
  see(node->arguments.double_star);
  node->height = below + 1;
  if (node->height > kMostHeight) fail("nested more than 300 deep");
  return node;
}

namespace {

void check_names(const Node &node, bool branch);
void check_names(const Body &nodes, bool branch) {
  for (const NodePointer &node : nodes)
    if (node) check_names(*node, branch);
}

// An unknown filter or test is an error at once, but in a branch only when it is reached. As in Jinja, a branch ends
// where a body of its own begins.
void check_names(const Node &node, bool branch) {
  branch = branch || node.kind == Kind::If || node.kind == Kind::Condition;
  const bool unknown = (node.kind == Kind::Filter && !is_filter(node.name)) ||
                       (node.kind == Kind::Test && !is_test(node.name));
  if (unknown && !branch) refuse_at("no filter or test is named '" + node.name + "'", node.line, node.column);
  check_names(node.children, branch);
  check_names(node.arguments.positional, branch);
  for (const auto &keyword : node.arguments.keyword) check_names(*keyword.second, branch);
  const bool same_body = node.kind == Kind::If;
  check_names(node.body, same_body && branch);
  check_names(node.otherwise, same_body && branch);
}

} // namespace

Body Parser::parse() {
  Body out = body({});
  check_names(out, false);
  return out;
}

Body Parser::body(Names ends) {
  Nesting nesting(*this);
  Body out;
  while (current().kind != TokenKind::End) {
    if (current().kind == TokenKind::Data) {
      out.push_back(make(Kind::Data));
      out.back()->value = Value::string(take().text);
    } else if (current().kind == TokenKind::VariableBegin) {
      take();
      NodePointer node = make(Kind::Output);
      node->children.push_back(tuple(true, false, ""));
      expect(TokenKind::VariableEnd, "'}}'");
      out.push_back(seal(std::move(node)));
    } else {
      expect(TokenKind::BlockBegin, "a block");
      if (at_name(ends)) return out;
      out.push_back(seal(statement()));
      expect(TokenKind::BlockEnd, "'%}'");
    }
  }
  if (ends.size() > 0) fail("the template ends before '" + std::string(*(ends.end() - 1)) + "'");
  return out;
}

Body Parser::tag_body(Names ends) {
  take_op(":");
  expect(TokenKind::BlockEnd, "'%}'");
  return body(ends);
}

NodePointer Parser::statement() {
  if (current().kind != TokenKind::Name) fail("expected a statement, found '" + current().text + "'");
  if (at_name({"if"})) return parse_if();
  if (at_name({"for"})) return parse_for();
  if (at_name({"set"})) return parse_set();
  if (at_name({"macro"})) return parse_macro();
  if (at_name({"call"})) return parse_call_block();
  if (at_name({"filter"})) return parse_filter_block();
  if (at_name({"with"})) return parse_with();
  if (at_name({"generation"})) return parse_generation();
  if (at_name({"break", "continue"})) {
    if (loops_ == 0) fail("'" + current().text + "' outside a loop");
    NodePointer node = make(current().text == "break" ? Kind::Break : Kind::Continue);
    take();
    return node;
  }
  if (at_name({"print"})) {
    take();
    NodePointer node = make(Kind::Output);
    node->children.push_back(expression());
    if (current().is_op(",")) fail("unsupported: print with several values");
    return node;
  }
  if (at_name({"extends", "include", "import", "from", "block", "autoescape"}))
    fail("unsupported: the statement '" + current().text + "'");
  fail("unknown statement '" + current().text + "'");
}

NodePointer Parser::parse_if() {
  NodePointer node = make(Kind::If);
  take();
  node->children.push_back(tuple(false, false, ""));
  node->body = tag_body({"elif", "else", "endif"});
  if (at_name({"elif"})) {
    Nesting nesting(*this);
    node->otherwise.push_back(seal(parse_if())); // takes the endif
  } else if (take_name("else")) {
    node->otherwise = tag_body({"endif"});
    take();
  } else {
    take();
  }
  return node;
}

NodePointer Parser::parse_for() {
  NodePointer node = make(Kind::For);
  take();
  node->children.push_back(target(false, "in"));
  if (!take_name("in")) fail("expected 'in'");
  node->children.push_back(tuple(false, false, "recursive"));
  if (take_name("if")) node->children.push_back(expression());
  if (at_name({"recursive"})) fail("unsupported: a recursive loop");
  ++loops_;
  node->body = tag_body({"endfor", "else"});
  --loops_;
  if (take_name("else")) node->otherwise = tag_body({"endfor"});
  take();
  return node;
}

NodePointer Parser::parse_set() {
  NodePointer node = make(Kind::Set);
  take();
  node->children.push_back(target(true, ""));
  if (take_op("=")) {
    node->children.push_back(tuple(true, false, ""));
    return node;
  }
  node->kind = Kind::SetBlock;
  if (current().is_op("|")) {
    NodePointer chain;
    while (take_op("|")) chain = filter(std::move(chain));
    node->children.push_back(std::move(chain));
  }
  node->body = tag_body({"endset"});
  take();
  return node;
}

std::vector<Parameter> Parser::parameters() {
  std::vector<Parameter> out;
  expect_op("(");
  while (!current().is_op(")")) {
    if (!out.empty()) expect_op(",");
    Parameter parameter{expect_name(), nullptr};
    if (take_op("=")) parameter.otherwise = expression();
    else if (!out.empty() && out.back().otherwise) fail("a parameter without a default after one that has it");
    out.push_back(std::move(parameter));
  }
  expect_op(")");
  return out;
}

namespace {

void walk(const Node &node, const std::function<void(const Node &)> &visit);
void walk(const Body &nodes, const std::function<void(const Node &)> &visit) {
  for (const NodePointer &node : nodes)
    if (node) walk(*node, visit);
}
void walk(const Node &node, const std::function<void(const Node &)> &visit) {
  visit(node);
  walk(node.children, visit);
  walk(node.body, visit);
  walk(node.otherwise, visit);
  walk(node.arguments.positional, visit);
  for (const auto &keyword : node.arguments.keyword) walk(*keyword.second, visit);
  if (node.arguments.star) walk(*node.arguments.star, visit);
  if (node.arguments.double_star) walk(*node.arguments.double_star, visit);
  for (const Parameter &p : node.parameters)
    if (p.otherwise) walk(*p.otherwise, visit);
}

} // namespace

// A macro takes caller, kwargs or varargs if its body names them.
void Parser::note_special_names(Node &macro) {
  walk(macro.body, [&](const Node &node) {
    if (node.kind != Kind::Name) return;
    macro.takes_caller |= node.name == "caller";
    macro.takes_kwargs |= node.name == "kwargs";
    macro.takes_varargs |= node.name == "varargs";
  });
  for (const Parameter &p : macro.parameters) {
    if (p.name == "caller" && !p.otherwise) fail("a macro's parameter 'caller' needs a default");
    macro.takes_caller &= p.name != "caller";
    macro.takes_kwargs &= p.name != "kwargs";
    macro.takes_varargs &= p.name != "varargs";
  }
}

NodePointer Parser::parse_macro() {
  NodePointer node = make(Kind::Macro);
  take();
  node->name = expect_name();
  node->parameters = parameters();
  const unsigned loops = std::exchange(loops_, 0);
  node->body = tag_body({"endmacro"});
  loops_ = loops;
  take();
  note_special_names(*node);
  return node;
}

NodePointer Parser::parse_call_block() {
  NodePointer node = make(Kind::CallBlock);
  take();
  node->name = "caller";
  if (current().is_op("(")) node->parameters = parameters();
  node->children.push_back(expression());
  if (node->children[0]->kind != Kind::Call) fail("expected a call");
  const unsigned loops = std::exchange(loops_, 0);
  node->body = tag_body({"endcall"});
  loops_ = loops;
  take();
  note_special_names(*node);
  return node;
}

NodePointer Parser::parse_filter_block() {
  NodePointer node = make(Kind::FilterBlock);
  take();
  NodePointer chain = filter(nullptr);
  while (take_op("|")) chain = filter(std::move(chain));
  node->children.push_back(std::move(chain));
  node->body = tag_body({"endfilter"});
  take();
  return node;
}

NodePointer Parser::parse_with() {
  NodePointer node = make(Kind::With);
  take();
  while (current().kind != TokenKind::BlockEnd) {
    if (!node->children.empty()) expect_op(",");
    node->children.push_back(target(false, ""));
    expect_op("=");
    node->children.push_back(expression());
  }
  node->body = tag_body({"endwith"});
  take();
  return node;
}

// Marks what the assistant said, for training; the text is as without it.
NodePointer Parser::parse_generation() {
  NodePointer node = make(Kind::Scope);
  take();
  node->body = tag_body({"endgeneration"});
  take();
  return node;
}

NodePointer Parser::target_item(bool allow_namespace) {
  if (take_op("(")) {
    Nesting nesting(*this);
    NodePointer inner = target(allow_namespace, "");
    expect_op(")");
    return inner;
  }
  NodePointer node = make(Kind::Name);
  node->name = expect_name();
  for (std::string_view constant : {"true", "false", "none", "True", "False", "None"})
    if (node->name == constant) fail("cannot assign to '" + node->name + "'");
  if (!allow_namespace || !take_op(".")) return node;
  node->kind = Kind::NamespaceTarget;
  node->value = Value::string(expect_name());
  return node;
}

NodePointer Parser::target(bool allow_namespace, std::string_view end_name) {
  NodePointer tuple = make(Kind::Tuple);
  bool is_tuple = false;
  while (true) {
    const bool ends = current().kind == TokenKind::BlockEnd || current().is_op(")") || current().is_op("=") ||
                      (!end_name.empty() && current().is_name(end_name));
    if (ends && is_tuple) break;
    tuple->children.push_back(target_item(allow_namespace));
    if (!take_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) return std::move(tuple->children[0]);
  return seal(std::move(tuple));
}

} // namespace llmrt::chat
