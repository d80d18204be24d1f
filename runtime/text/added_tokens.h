// Added tokens: found in text before the model sees it, whatever the model would make of them.
#pragma once

#include "runtime/text/normal/char_classes.h"

#include <string_view>
#include <vector>

namespace llmrt {

struct Section {
  size_t begin = 0, end = 0;
  int32_t id = -1; // -1: text; else an added token stands here
};

// Cuts `text` (UTF-8) at the tokens of `trie`: leftmost, then longest. As in the library, a token that strips space may
// reach into the text before and after it.
void find_added_tokens(const schema::Tokenizer &tables, const schema::Trie *trie, const CharClasses &classes,
                       std::string_view text, std::vector<Section> &sections);

// By id; null: not an added token.
const schema::AddedToken *find_added(const schema::Tokenizer &tables, int32_t id);
const schema::AddedToken *find_added(const schema::Tokenizer &tables, std::string_view content);

} // namespace llmrt
