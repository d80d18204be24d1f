// The syntax tree of a template.
#pragma once

#include "runtime/text/template/value.h"

namespace llmrt::chat {

enum class Kind : uint8_t {
  // Expressions; what `children` are stands behind.
  Constant,  // value
  Name,      // name
  Tuple,     // items
  List,      // items
  Dict,      // key, value, key, value, ...
  Condition, // test, then, [otherwise]
  Or, And,   // left, right
  Not, Negative, Positive, // operand
  Compare,   // first, then one operand for each of `operators`
  Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power, // left, right
  Concat,    // items
  Attribute, // object; name
  Item,      // object, index
  Slice,     // object, start, stop, step; null where left out
  Call,      // function; arguments
  Filter,    // operand, null in a block; name, arguments
  Test,      // operand; name, arguments
  // Statements.
  Data,        // value
  Output,      // expression
  If,          // test; body, otherwise
  For,         // target, iterable, [filter]; body, otherwise
  Set,         // target, value
  SetBlock,    // target, [filter]; body
  Macro,       // name; parameters, body
  CallBlock,   // call; parameters, body
  FilterBlock, // filter; body
  With,        // target, value, target, value, ...; body
  Scope,       // body
  Break, Continue,
  NamespaceTarget, // name, attribute in `value`
};

struct Node;
using NodePointer = std::unique_ptr<Node>;
using Body = std::vector<NodePointer>;

struct Arguments {
  Body positional;
  std::vector<std::pair<std::string, NodePointer>> keyword;
  NodePointer star, double_star;
};

struct Parameter {
  std::string name;
  NodePointer otherwise; // null: none
};

struct Node {
  Kind kind;
  bool takes_caller = false, takes_kwargs = false, takes_varargs = false; // Macro, CallBlock
  uint32_t line = 1, column = 1;
  uint32_t height = 1; // of the tree below, this node included
  std::string name;
  Value value;
  std::vector<std::string> operators;
  Body children, body, otherwise;
  Arguments arguments;
  std::vector<Parameter> parameters;

  Node(Kind kind, uint32_t line, uint32_t column) : kind(kind), line(line), column(column) {}
};

// Throws TemplateError.
Body parse_template(std::string_view source);

} // namespace llmrt::chat
