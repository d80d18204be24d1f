// What one token adds to a text that goes on, in bytes: the decoder's steps over a single token, without what they do
// at a text's two ends.
#pragma once

#include "runtime/base/status.h"
#include "runtime/schema/tokenizer_generated.h"

#include <string>
#include <string_view>

namespace llmrt {

// `token` is what decoders see of it. kUnsupported names the step where a token's text depends on its neighbours.
Result<std::string> token_bytes(const schema::Tokenizer &tables, std::string_view token);

} // namespace llmrt
