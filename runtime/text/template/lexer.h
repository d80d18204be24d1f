// Jinja's lexer with trim_blocks and lstrip_blocks on.
#pragma once

#include "runtime/text/template/value.h"

namespace llmrt::chat {

enum class TokenKind {
  Data, VariableBegin, VariableEnd, BlockBegin, BlockEnd, Name, String, Integer, Float, Operator, End
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string text; // a string's value, an operator, a name
  int64_t integer = 0;
  double number = 0;
  size_t line = 1, column = 1;

  bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  bool is_op(std::string_view op) const { return is(TokenKind::Operator, op); }
  bool is_name(std::string_view name) const { return is(TokenKind::Name, name); }
};

// Throws TemplateError with line and column.
std::vector<Token> tokenize(std::string_view source);

[[noreturn]] void refuse_at(const std::string &message, size_t line, size_t column);

} // namespace llmrt::chat
