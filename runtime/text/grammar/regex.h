// Regular expressions as grammars: the part of Perl's, Python's and ECMAScript's syntax that describes a regular
// language (docs/structured.md lists it). Look-around, back references, word boundaries and flags are refused by name.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/grammar.h"
#include "runtime/text/grammar/spelling.h"

#include <string_view>

namespace llmrt::grammar {

// kWhole: the expression is the whole text (^ and $ may stand at its ends). kSearch: it is found somewhere in the text,
// as JSON Schema's `pattern`; an alternative's own ^ and $ hold it to the ends.
enum class RegexMatch { kWhole, kSearch };

// kInvalidArgument with the position (in bytes) and what is wrong; kUnsupported likewise.
Result<NodeId> add_regex(Grammar &grammar, std::string_view pattern, RegexMatch match, Spelling spelling);

Result<Grammar> regex_grammar(std::string_view pattern);

} // namespace llmrt::grammar
