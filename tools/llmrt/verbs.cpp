#include "tools/llmrt/verbs.h"

namespace llmrt::tool {

std::vector<Verb> all_verbs() {
  return {
      {"run", "complete a prompt", setup_run},
      {"chat", "talk with a model", setup_chat},
      {"serve", "answer HTTP requests", setup_serve},
      {"bench", "measure speed against the machine's limits", setup_bench},
      {"bench-serve", "load a server as vllm bench serve does", setup_bench_serve},
      {"run-batch", "answer a file of requests, in OpenAI's batch format", setup_run_batch},
      {"logits", "write the scores of token ids as .npy", setup_logits},
      {"perplexity", "mean negative log likelihood of a text", setup_perplexity},
      {"tokenize", "text to token ids", setup_tokenize},
      {"detokenize", "token ids to text", setup_detokenize},
      {"render", "render a chat template", setup_render},
      {"ps", "show the models of a running server", setup_ps},
      {"inspect", "show what is in an artifact", setup_inspect},
      {"verify", "check all of an artifact's hashes", setup_verify},
  };
}

} // namespace llmrt::tool
