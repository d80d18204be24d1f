// JSON Schema (draft 2020-12, and what older drafts share with it) as a grammar of JSON texts that are valid under it.
// docs/structured.md lists every keyword. What is not supported is an error that names the keyword and its place; a
// keyword is never left out of account.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/grammar.h"

#include <nlohmann/json_fwd.hpp>

namespace llmrt::grammar {

// A node that matches the valid texts. `schema` is nested no deeper than a parsed request may be, and must outlive the
// call only. kInvalidArgument: not a schema; kUnsupported: names the keyword and its path (#/properties/a/not);
// kExhausted: too large.
Result<NodeId> add_json_schema(Grammar &grammar, const nlohmann::ordered_json &schema);

Result<Grammar> json_schema_grammar(const nlohmann::ordered_json &schema);
Result<Grammar> json_object_grammar(); // any object

} // namespace llmrt::grammar
