// Unicode's normal forms (UAX 15) over the artifact's tables.
#pragma once

#include "runtime/schema/tokenizer_generated.h"

#include <string>
#include <string_view>
#include <vector>

namespace llmrt {

enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };

// `text` is UTF-8; linear but for the sorting of runs of combining marks (n log n).
std::string to_normal_form(const schema::NormalForms &tables, NormalForm form, std::string_view text);

} // namespace llmrt
