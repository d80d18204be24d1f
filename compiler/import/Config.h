// The files beside the weights, as far as they are not the model's or the tokenizer's business.
#pragma once

#include "compiler/import/Checkpoint.h"

namespace llmc {

// Reads config.json (the file `configPath`), and from `folder` generation_config.json, tokenizer.json,
// tokenizer_config.json, special_tokens_map.json and the chat templates, into `checkpoint`. All but the config may be
// missing.
llvm::Error readModelFiles(llvm::StringRef configPath, llvm::StringRef folder, Checkpoint &checkpoint);

// tokenizer_config.json's chat_template: a string, a list of {name, template}, or an object from names to templates.
// The one named "default" is the checkpoint's chatTemplate.
llvm::Error takeChatTemplates(const nlohmann::json &tokenizerConfig, llvm::StringRef what, Checkpoint &checkpoint);

// The special tokens by the names that chat templates know them by (bos_token, eos_token, ...): an object of strings,
// and of lists of strings. Entries of other types are left out.
nlohmann::json specialTokens(const Checkpoint &checkpoint);

} // namespace llmc
