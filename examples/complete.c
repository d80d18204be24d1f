/* Completes a text: complete FILE.fbs "Once upon a time" [TOKENS]. An argument of digits and commas is token ids. */
#include "llmrt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxPrompt = 4096 };

static int failed(const char *what, const llmrt_error *error) {
  fprintf(stderr, "%s: %s\n", what, error->message);
  return 1;
}

/* Token ids of the text, or the ids that the text lists. */
static llmrt_code read_prompt(const llmrt_model *model, const char *text, int32_t *ids, size_t *count,
                              llmrt_error *error) {
  if (strspn(text, "0123456789,") != strlen(text))
    return llmrt_tokenize(model, text, strlen(text), 1, ids, kMaxPrompt, count, error);
  char *end;
  for (*count = 0; *text && *count < kMaxPrompt; text = *end ? end + 1 : end)
    ids[(*count)++] = (int32_t)strtol(text, &end, 10);
  return LLMRT_OK;
}

int main(int argc, char **argv) {
  llmrt_error error = {.size = sizeof error};
  llmrt_model *model;
  llmrt_request *request;
  int32_t ids[kMaxPrompt];
  size_t count;
  if (argc < 3) {
    fprintf(stderr, "usage: %s FILE.fbs TEXT [TOKENS]\n", argv[0]);
    return 2;
  }
  if (llmrt_open(argv[1], strlen(argv[1]), NULL, &model, &error))
    return failed("open", &error);
  llmrt_model_info info = {.size = sizeof info};
  if (llmrt_get_model_info(model, &info, &error) || read_prompt(model, argv[2], ids, &count, &error))
    return failed("prompt", &error);
  llmrt_sampling greedy = {.size = sizeof greedy};
  if (llmrt_get_default_sampling(model, &greedy, &error))
    return failed("sampling", &error);
  greedy.temperature = 0;
  llmrt_request_options options = {.size = sizeof options, .prompt = ids, .prompt_count = count, .sampling = &greedy};
  options.max_tokens = argc > 3 ? atoi(argv[3]) : 32;
  if (llmrt_submit(model, &options, &request, &error))
    return failed("submit", &error);
  llmrt_event event = {.size = sizeof event};
  do {
    if (llmrt_poll(request, -1, &event, &error))
      return failed("poll", &error);
    fwrite(event.text.data, 1, event.text.length, stdout);
    if (!info.has_tokenizer && event.type == LLMRT_EVENT_TOKEN)
      printf("%d ", (int)event.token);
  } while (event.type != LLMRT_EVENT_FINISHED);
  printf("\n%d tokens\n", (int)event.new_tokens);
  llmrt_release(request);
  llmrt_close(model);
  return event.finish_reason == LLMRT_FINISH_ERROR ? failed("run", &error) : 0;
}
