// Unigram's scores as Hugging Face's library reads them.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <vector>

namespace llmc::tokenizer {

// A decimal number as the library's JSON reader (serde_json) converts it: the digits as an integer, rounded, then
// divided by or multiplied with a power of ten, rounded again. That is one unit in the last place off the nearest double
// now and then, and such a unit decides between spellings whose sums of scores would else be equal.
double readScore(llvm::StringRef digits);

// The second elements of model.vocab's pairs, in order. `json` has been parsed before.
std::vector<double> readScores(llvm::StringRef json);

} // namespace llmc::tokenizer
