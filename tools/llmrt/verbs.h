// The verbs of llmrt. Each is in the file of its name.
#pragma once

#include "tools/llmrt/flags.h"

namespace llmrt::tool {

std::function<int()> setup_run(Flags &);
std::function<int()> setup_serve(Flags &);
std::function<int()> setup_chat(Flags &);
std::function<int()> setup_bench(Flags &);
std::function<int()> setup_bench_serve(Flags &);
std::function<int()> setup_run_batch(Flags &);
std::function<int()> setup_logits(Flags &);
std::function<int()> setup_perplexity(Flags &);
std::function<int()> setup_tokenize(Flags &);
std::function<int()> setup_detokenize(Flags &);
std::function<int()> setup_render(Flags &);
std::function<int()> setup_inspect(Flags &);
std::function<int()> setup_ps(Flags &);
std::function<int()> setup_verify(Flags &);

std::vector<Verb> all_verbs();

} // namespace llmrt::tool
