// The parser's state; its functions are in parser.cpp (statements) and parser_expressions.cpp.
#pragma once

#include "runtime/text/template/ast.h"
#include "runtime/text/template/lexer.h"

#include <initializer_list>

namespace llmrt::chat {

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Body parse();

private:
  using Names = std::initializer_list<std::string_view>;

  // Statements. A body ends before one of `ends`, whose name is then the current token.
  Body body(Names ends);
  Body tag_body(Names ends); // after the end of the tag that opens it
  NodePointer statement();
  NodePointer parse_if();
  NodePointer parse_for();
  NodePointer parse_set();
  NodePointer parse_macro();
  NodePointer parse_call_block();
  NodePointer parse_filter_block();
  NodePointer parse_with();
  NodePointer parse_generation();
  std::vector<Parameter> parameters();
  NodePointer target(bool allow_namespace, std::string_view end_name);
  NodePointer target_item(bool allow_namespace);
  void note_special_names(Node &macro);

  // Expressions, loosest first.
  NodePointer tuple(bool with_condition, bool in_parentheses, std::string_view end_name);
  NodePointer expression(bool with_condition = true);
  NodePointer condition();
  NodePointer disjunction();
  NodePointer conjunction();
  NodePointer negation();
  NodePointer comparison();
  NodePointer sum();
  NodePointer concatenation();
  NodePointer product();
  NodePointer power();
  NodePointer unary(bool with_filter);
  NodePointer primary();
  NodePointer postfix(NodePointer node);
  NodePointer filters(NodePointer node);
  NodePointer filter(NodePointer operand);
  NodePointer test(NodePointer operand);
  NodePointer subscript(NodePointer object);
  NodePointer slice(NodePointer object, NodePointer start);
  NodePointer list();
  NodePointer dict();
  Arguments arguments();
  std::string dotted_name();

  const Token &current() const { return tokens_[at_]; }
  const Token &look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool take_op(std::string_view op);
  bool take_name(std::string_view name);
  void expect_op(std::string_view op);
  std::string expect_name();
  void expect(TokenKind kind, std::string_view what);
  bool at_name(Names names) const;
  [[noreturn]] void fail(const std::string &message) const;
  NodePointer make(Kind kind) const;
  NodePointer make(Kind kind, NodePointer left, NodePointer right) const;
  NodePointer seal(NodePointer node) const; // once it has all its parts

  // Guards the parser's recursion; seal() guards that of whoever walks the tree.
  struct Nesting {
    explicit Nesting(Parser &parser);
    ~Nesting() { --parser.depth_; }
    Parser &parser;
  };

  std::vector<Token> tokens_;
  size_t at_ = 0;
  unsigned depth_ = 0;
  unsigned loops_ = 0;
};

// Whether the name is known; in filters.cpp and tests.cpp.
bool is_filter(std::string_view name);
bool is_test(std::string_view name);

} // namespace llmrt::chat
