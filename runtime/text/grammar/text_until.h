// Free text up to a mark.
#pragma once

#include "runtime/text/grammar/grammar.h"

#include <string_view>

namespace llmrt::grammar {

// Any text that does not have `mark` in it, then `mark`. The mark is ASCII and its first character comes in it once.
NodeId text_until(Grammar &grammar, std::string_view mark);
// Any text without the mark.
NodeId text_without(Grammar &grammar, std::string_view mark);

} // namespace llmrt::grammar
