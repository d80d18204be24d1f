// tokenizer.json, as Hugging Face's tokenizers library writes it, compiled to the artifact's tables.
#pragma once

#include "runtime/schema/tokenizer_generated.h"
#include "llvm/Support/Error.h"

#include <functional>

namespace llmc {

using TokenizerOffset = flatbuffers::Offset<llmrt::schema::Tokenizer>;

// Parses and checks `json` (hostile text) and returns what writes the tables into a builder, any number of times and
// always the same bytes. An error says where in the file and what; what the library can and we cannot do begins with
// "unsupported".
llvm::Expected<std::function<TokenizerOffset(flatbuffers::FlatBufferBuilder &)>> compileTokenizer(llvm::StringRef json);

// Both at once.
llvm::Expected<TokenizerOffset> buildTokenizer(llvm::StringRef json, flatbuffers::FlatBufferBuilder &builder);

} // namespace llmc
