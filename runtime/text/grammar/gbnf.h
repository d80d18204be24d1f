// llama.cpp's grammar language, GBNF, as its grammars/README.md describes it: `name ::= alternatives`, literals,
// characters in brackets, groups, * + ? {m} {m,} {m,n}, comments. The text is what `root` matches.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/grammar.h"

#include <string_view>

namespace llmrt::grammar {

// kInvalidArgument with line and column.
Result<Grammar> gbnf_grammar(std::string_view text);

} // namespace llmrt::grammar
