// JSON's own grammar (RFC 8259), in parts that a schema puts together.
#pragma once

#include "runtime/text/grammar/grammar.h"

#include <optional>
#include <string>

namespace llmrt::grammar {

// Bounds of a number; `value` is a decimal without exponent, such as -12.5.
struct NumberBound {
  std::string value;
  bool inclusive = true;
};

class JsonParts {
public:
  explicit JsonParts(Grammar &grammar) : grammar_(grammar) {}

  NodeId space();   // at most one line break and 40 blanks: output that never ends is of no use
  NodeId string();
  NodeId string(uint32_t least, uint32_t most); // characters
  NodeId integer(); // at most 16 digits
  NodeId number();  // at most 16 digits before the point, 15 behind it, an exponent of two
  NodeId value();   // anything
  NodeId object();
  NodeId array();
  NodeId token(std::string_view text) { return grammar_.literal(text); }
  // "[" parts "]" and the like, with space where JSON allows it but at the two ends.
  NodeId member(NodeId key, NodeId value); // with the space after it
  NodeId separator();                      // the comma, with the space after it
  NodeId enclosed(std::string_view open, NodeId inner, std::string_view close);

private:
  NodeId character();
  NodeId once(std::optional<NodeId> &kept, const char *name, NodeId (JsonParts::*make)());
  NodeId make_space();
  NodeId make_character();
  NodeId make_string() { return string(0, kUnbounded); }
  NodeId make_integer();
  NodeId make_number();

  Grammar &grammar_;
  std::optional<NodeId> space_, character_, string_, integer_, number_, value_, object_, array_;
};

// Whole numbers and decimals between two bounds (none: open). Error: a bound that cannot be written with 15 digits.
Result<NodeId> integers_between(Grammar &grammar, const std::optional<NumberBound> &low,
                                const std::optional<NumberBound> &high);
Result<NodeId> numbers_between(Grammar &grammar, const std::optional<NumberBound> &low,
                               const std::optional<NumberBound> &high);

// The regular expression of JSON Schema's `format`; null: not known here.
const char *regex_of_format(std::string_view format);

} // namespace llmrt::grammar
