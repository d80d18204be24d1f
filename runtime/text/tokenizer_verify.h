// Checks the tokenizer tables of an artifact: after it every index, offset and count in them may be used unchecked.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>

namespace llmrt {

namespace schema {
struct Tokenizer;
}

// The flatbuffer itself has passed flatbuffers::Verifier. `vocabulary`, the model's rows of logits, is no bound: some
// checkpoints have tokens above it, and whoever runs the model checks ids, which come from users as well. kCorrupt
// names the table.
Status verify_tokenizer(const schema::Tokenizer &tables, uint32_t vocabulary);

} // namespace llmrt
