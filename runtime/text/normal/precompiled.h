// SentencePiece's compiled character maps, as Hugging Face's library applies them.
#pragma once

#include "runtime/text/normal/char_classes.h"

#include <string>
#include <string_view>

namespace llmrt {

// `text` is UTF-8; so is the result, whatever the map holds.
std::string apply_char_map(const schema::NormalizerStep &step, const CharClasses &classes, std::string_view text);

} // namespace llmrt
