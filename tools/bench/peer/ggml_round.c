// ggml_round TYPE COLUMNS < values > rounded: what a ggml type (q4_0, q4_K, q8_0, ...) makes of a matrix, without an
// importance matrix, as llama-quantize --pure does. Little-endian f32 rows of COLUMNS values. The
// type's block has to divide COLUMNS.
#include "ggml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, int code) {
  fprintf(stderr, "ggml_round: %s\n", what);
  return code;
}

static enum ggml_type find_type(const char *name) {
  for (int type = 0; type < GGML_TYPE_COUNT; ++type) {
    const char *known = ggml_type_name((enum ggml_type)type);
    if (known && strcmp(known, name) == 0 && ggml_is_quantized((enum ggml_type)type))
      return (enum ggml_type)type;
  }
  return GGML_TYPE_COUNT;
}

static int round_rows(enum ggml_type type, int64_t columns) {
  float *values = malloc((size_t)columns * sizeof(float)), *rounded = malloc((size_t)columns * sizeof(float));
  void *packed = malloc(ggml_row_size(type, columns));
  if (!values || !rounded || !packed)
    return fail("there is not enough memory", 1);
  size_t count;
  while ((count = fread(values, sizeof(float), (size_t)columns, stdin))) {
    if (count != (size_t)columns)
      return fail("the input ends within a row", 1);
    ggml_quantize_chunk(type, values, packed, 0, 1, columns, NULL);
    ggml_get_type_traits(type)->to_float(packed, rounded, columns);
    if (fwrite(rounded, sizeof(float), (size_t)columns, stdout) != (size_t)columns)
      return fail("the output cannot be written", 1);
  }
  free(values);
  free(rounded);
  free(packed);
  return ferror(stdin) || fflush(stdout) ? fail("reading or writing failed", 1) : 0;
}

int main(int count, char **words) {
  const long columns = count == 3 ? atol(words[2]) : 0;
  if (columns < 1)
    return fail("usage: ggml_round TYPE COLUMNS < values > rounded", 2);
  const enum ggml_type type = find_type(words[1]);
  if (type == GGML_TYPE_COUNT || columns % ggml_blck_size(type))
    return fail("there is no such quantized type, or its block does not divide the columns", 2);
  return round_rows(type, columns);
}
