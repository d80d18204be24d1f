// What `run` and `chat` share: sampling flags, and one generation shown as it comes.
#pragma once

#include "runtime/session/text_stream.h"
#include "tools/llmrt/common.h"

#include <optional>

namespace llmrt::tool {

struct GenerationFlags {
  double temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  int64_t top_k = -1, seed = 0, max_tokens = -1, min_tokens = 0;
  std::vector<std::string> stop;
  std::string grammar_file, json_schema; // at most one
  bool ignore_eos = false;
};

void add_generation_flags(Flags &flags, GenerationFlags &to);

struct Generated {
  std::vector<int32_t> ids;
  std::string text;
  double first_token_ms = 0, decode_ms = 0;
  int32_t cached = 0;
};

// Runs one request on this thread. `show` is given text as it comes, whole characters only. kOk, kInterrupted or
// kError after saying why; what came so far is in *out.
int generate(Model &model, const Flags &flags, const GenerationFlags &options, std::vector<int32_t> prompt,
             const std::function<void(std::string_view)> &show, Generated *out);

} // namespace llmrt::tool
