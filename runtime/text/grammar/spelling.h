// How a character is written where the grammar speaks of: as itself, or inside a JSON string.
#pragma once

#include "runtime/text/grammar/grammar.h"

#include <string>
#include <string_view>

namespace llmrt::grammar {

enum class Spelling { kPlain, kJsonString };

// One character of the set. In a JSON string each has one spelling: itself, or the shortest escape where JSON needs one.
NodeId spell_one_of(Grammar &grammar, const CharSet &set, Spelling spelling);
// The text (UTF-8), character by character.
NodeId spell_text(Grammar &grammar, std::string_view text, Spelling spelling);
// Without the quotes.
std::string json_escaped(std::string_view text);

} // namespace llmrt::grammar
