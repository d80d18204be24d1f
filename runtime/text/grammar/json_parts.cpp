#include "runtime/text/grammar/json_parts.h"

#include "runtime/text/grammar/regex.h"

namespace llmrt::grammar {

NodeId JsonParts::once(std::optional<NodeId> &kept, const char *name, NodeId (JsonParts::*make)()) {
  if (!kept) kept = grammar_.shared(name, (this->*make)());
  return *kept;
}

NodeId JsonParts::make_space() {
  const NodeId blanks = grammar_.repeat(grammar_.chars({{' ', ' '}, {'\t', '\t'}}), 0, 40);
  return grammar_.choice({grammar_.optional(token(" ")), grammar_.sequence({token("\n"), blanks})});
}

// Escapes of surrogates come in pairs: a lone one is no character.
NodeId JsonParts::make_character() {
  const auto regex = [this](std::string_view pattern) {
    return *add_regex(grammar_, pattern, RegexMatch::kWhole, Spelling::kPlain); // ours: always right
  };
  return grammar_.choice({regex("[^\"\\\\\\x00-\\x1f]"), regex("\\\\[\"\\\\/bfnrt]"),
                          regex("\\\\u([0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"),
                          regex("\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}")});
}

NodeId JsonParts::make_integer() {
  return *add_regex(grammar_, "-?(0|[1-9][0-9]{0,15})", RegexMatch::kWhole, Spelling::kPlain);
}

NodeId JsonParts::make_number() {
  return *add_regex(grammar_, "-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?", RegexMatch::kWhole,
                    Spelling::kPlain);
}

NodeId JsonParts::space() { return once(space_, "space", &JsonParts::make_space); }
NodeId JsonParts::string() { return once(string_, "string", &JsonParts::make_string); }
NodeId JsonParts::integer() { return once(integer_, "integer", &JsonParts::make_integer); }
NodeId JsonParts::number() { return once(number_, "number", &JsonParts::make_number); }

NodeId JsonParts::character() {
  if (!character_) character_ = make_character();
  return *character_;
}

NodeId JsonParts::string(uint32_t least, uint32_t most) {
  return grammar_.sequence({token("\""), grammar_.repeat(character(), least, most), token("\"")});
}

NodeId JsonParts::member(NodeId key, NodeId value) {
  return grammar_.sequence({key, space(), token(":"), space(), value, space()});
}

NodeId JsonParts::separator() { return grammar_.sequence({token(","), space()}); }

NodeId JsonParts::enclosed(std::string_view open, NodeId inner, std::string_view close) {
  return grammar_.sequence({token(open), space(), inner, token(close)});
}

// Objects, arrays and values name each other.
NodeId JsonParts::value() {
  if (value_) return *value_;
  const RuleId value = grammar_.add_rule("value"), object = grammar_.add_rule("object"),
               array = grammar_.add_rule("array");
  value_ = grammar_.rule(value);
  object_ = grammar_.rule(object);
  array_ = grammar_.rule(array);
  const NodeId members[] = {grammar_.repeat(member(string(), *value_), 0, kUnbounded)};
  const NodeId elements[] = {grammar_.repeat(grammar_.sequence({*value_, space()}), 0, kUnbounded)};
  grammar_.define(object, enclosed("{", grammar_.join(separator(), members), "}"));
  grammar_.define(array, enclosed("[", grammar_.join(separator(), elements), "]"));
  grammar_.define(value, grammar_.choice({*object_, *array_, string(), number(), token("true"), token("false"),
                                          token("null")}));
  return *value_;
}

NodeId JsonParts::object() { return value(), *object_; }
NodeId JsonParts::array() { return value(), *array_; }

} // namespace llmrt::grammar
