/* static_kernels FILE.fbs map|copy|f32|q4 TIER: the logits of a fixed prompt, as floats, on stdout. The kernels come out
 * of the file in two ways, or out of one of two archives that this program links. */
#include "f32.h"
#include "llmrt.h"
#include "q4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kPrompt = 40 };

static int failed(const llmrt_error *error) {
  fprintf(stderr, "%s\n", error->message);
  return 1;
}

int main(int argc, char **argv) {
  llmrt_error error = {.size = sizeof error};
  llmrt_open_options options = {.size = sizeof options, .threads = 1};
  llmrt_model_info info = {.size = sizeof info};
  llmrt_model *model;
  int32_t ids[kPrompt];
  if (argc != 4)
    return 2;
  if (strcmp(argv[2], "map") == 0)
    options.code_loading = LLMRT_CODE_MAP;
  else if (strcmp(argv[2], "copy") == 0)
    options.code_loading = LLMRT_CODE_COPY;
  else
    options.kernels = strcmp(argv[2], "f32") == 0 ? &llmrt_kernels_f32 : &llmrt_kernels_q4;
  options.cpu_tier = argv[3];
  options.cpu_tier_length = strlen(argv[3]);
  if (llmrt_open(argv[1], strlen(argv[1]), &options, &model, &error) || llmrt_get_model_info(model, &info, &error))
    return failed(&error);
  for (int i = 0; i < kPrompt; ++i)
    ids[i] = 1 + i * 37 % 500;
  size_t count = kPrompt * (size_t)info.vocabulary;
  float *logits = malloc(count * sizeof *logits);
  if (!logits || llmrt_logits(model, ids, kPrompt, logits, count, &error))
    return failed(&error);
  fwrite(logits, sizeof *logits, count, stdout);
  free(logits);
  llmrt_close(model);
  return 0;
}
