// The normalizer: text to text, step by step.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/normal/char_classes.h"

#include <string>
#include <string_view>

namespace llmrt {

struct NormalizedText {
  std::string text;
  bool keeps_start = true; // its first character comes from the original's first
};

// `text` is UTF-8; so is the result.
Result<NormalizedText> normalize(const schema::Tokenizer &tables, const CharClasses &classes, std::string_view text);

// Each byte as its printable character.
std::string bytes_to_chars(std::string_view bytes);
// Every occurrence of `what` (not empty), from left to right.
std::string replace_all(std::string_view text, std::string_view what, std::string_view with);

} // namespace llmrt
