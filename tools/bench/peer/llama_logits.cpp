// llama_logits MODEL.gguf < ids > logits: a line of ids is a sequence; f32 rows of the vocabulary's size for every id.
// The KV cache is f32 and flash attention off, so that what differs from an exact run is the weights' and activations'
// rounding alone.
#include "llama.h"

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

static int fail(const char *what, int code) {
  std::fprintf(stderr, "llama_logits: %s\n", what);
  return code;
}

static bool write_logits(llama_context *context, int vocabulary, std::vector<llama_token> &ids) {
  llama_memory_clear(llama_get_memory(context), true);
  llama_batch batch = llama_batch_init(static_cast<int>(ids.size()), 0, 1);
  for (size_t i = 0; i < ids.size(); ++i) {
    batch.token[i] = ids[i];
    batch.pos[i] = static_cast<llama_pos>(i);
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = static_cast<int>(ids.size());
  bool ok = llama_decode(context, batch) == 0;
  for (int i = 0; ok && i < batch.n_tokens; ++i)
    ok = std::fwrite(llama_get_logits_ith(context, i), sizeof(float), vocabulary, stdout) == size_t(vocabulary);
  llama_batch_free(batch);
  return ok;
}

int main(int count, char **words) {
  if (count != 2)
    return fail("usage: llama_logits MODEL.gguf < ids > logits", 2);
  llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
  llama_backend_init();
  llama_model *model = llama_model_load_from_file(words[1], llama_model_default_params());
  if (!model)
    return fail("the model cannot be loaded", 1);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = 2048;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  llama_context *context = llama_init_from_model(model, params);
  if (!context)
    return fail("there is no context", 1);
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  for (std::string line; std::getline(std::cin, line);) {
    for (char &c : line)
      c = c == ',' ? ' ' : c;
    std::istringstream words_of_line(line);
    std::vector<llama_token> ids;
    for (llama_token id; words_of_line >> id;)
      ids.push_back(id);
    if (ids.empty() || ids.size() > params.n_ctx || !write_logits(context, vocabulary, ids))
      return fail("a sequence is empty, too long, or was not computed", 1);
  }
  return std::fflush(stdout) ? fail("the output cannot be written", 1) : 0;
}
