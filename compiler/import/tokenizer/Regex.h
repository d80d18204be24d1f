// Regular expressions as Oniguruma's default (Ruby-like) syntax writes them, compiled to the artifact's patterns.
#pragma once

#include "compiler/import/tokenizer/CharSet.h"
#include "runtime/schema/tokenizer_generated.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <string>
#include <vector>

namespace llmc::tokenizer {

enum class WordChars { Oniguruma, Rust }; // what \w and \b mean

// `classIndex` gives a set its place in the artifact's list of classes. An unsupported construct is an error that names
// it and its place: back references, subexpression calls, conditionals, absent groups, \K, \R, \X, properties that
// findProperty() lacks, an endless repeat of something that may be empty. Case is ignored letter by letter: "ss" does
// not match a sharp s.
llvm::Expected<std::vector<llmrt::schema::PatternInstruction>>
compileRegex(llvm::StringRef source, WordChars word, const std::function<uint32_t(const CharSet &)> &classIndex);

} // namespace llmc::tokenizer
