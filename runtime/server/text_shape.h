// What a client says an answer's text must look like: response_format, structured_outputs and their older names.
#pragma once

#include "runtime/server/fields.h"
#include "runtime/text/grammar/grammar.h"

#include <functional>
#include <string>

namespace llmrt::server {

struct TextShape {
  std::string field; // that asked for it; empty: any text
  std::string key;   // equal keys: equal grammars
  std::function<Result<grammar::Grammar>()> make;

  bool any() const { return field.empty(); }
};

// Reads every such field; two at once are a mistake. Whether a schema or grammar is right shows when it is made.
TextShape read_text_shape(FieldReader &fields);

// llama-server's fields for the same (grammar, json_schema), and TGI's (grammar: {type, value}).
TextShape read_llama_shape(FieldReader &fields);
TextShape read_tgi_shape(FieldReader &fields);
// The `format` in a response's `text`: {type, name, schema, strict}. Mistakes are those of `text`.
TextShape read_text_format(FieldReader &fields, const Json &format);

// The text comes after `prelude`, whose key is `key`.
TextShape after_prelude(TextShape shape, const std::string &key,
                        std::function<grammar::NodeId(grammar::Grammar &)> prelude);

// GBNF, or the EBNF of docs/structured.md where there is no `::=`.
Result<grammar::Grammar> grammar_of_source(const std::string &text);

} // namespace llmrt::server
