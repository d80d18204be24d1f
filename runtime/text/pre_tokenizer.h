// The pre-tokenizer: normalized text to the pieces that the model encodes one by one.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/normal/char_classes.h"

#include <string>
#include <vector>

namespace llmrt {

struct Piece {
  size_t begin = 0, end = 0; // in the list's text
  bool first = false;        // it starts where the whole input starts
};

// Pieces lie in `text` in order; what lies between two of them was removed.
struct PieceList {
  std::string text;
  std::vector<Piece> pieces;
};

// `list` holds the normalized text as one piece (none if it is empty). No piece is left empty.
Status pre_tokenize(const schema::Tokenizer &tables, const CharClasses &classes, PieceList &list);

} // namespace llmrt
