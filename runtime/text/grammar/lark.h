// An EBNF: the part of Lark's grammar language that describes texts (docs/structured.md says exactly which). Unlike in
// Lark nothing is cut into terminals first: what the rules say of characters is what holds. %ignore lets its text stand
// after every terminal of a rule.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/grammar.h"

#include <string_view>

namespace llmrt::grammar {

// The text is what `start` matches. kInvalidArgument with line and column; kUnsupported likewise.
Result<Grammar> lark_grammar(std::string_view text);

} // namespace llmrt::grammar
