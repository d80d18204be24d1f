/* llmrt: runs what llmc compiled. The C API, and the only public header.
 *
 * Every function may be called from any thread. Strings are UTF-8 with a length and need no terminator. A struct that
 * is passed in starts with its size: set it to sizeof, so that programs built with an older header go on working.
 * Functions give a code; what went wrong in words is put into the llmrt_error that the caller passes, or NULL.
 *
 * Typical use:
 *   llmrt_open -> llmrt_tokenize -> llmrt_submit -> llmrt_poll until LLMRT_EVENT_FINISHED -> llmrt_release -> llmrt_close
 */
#ifndef LLMRT_H
#define LLMRT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LLMRT_API __attribute__((visibility("default")))
#else
#define LLMRT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LLMRT_API_VERSION 1

typedef struct llmrt_model llmrt_model;
typedef struct llmrt_request llmrt_request;

typedef enum llmrt_code {
  LLMRT_OK = 0,
  LLMRT_INVALID_ARGUMENT = 1, /* this can never work */
  LLMRT_NOT_FOUND = 2,
  LLMRT_CORRUPT = 3,     /* the file is not what it says it is */
  LLMRT_UNSUPPORTED = 4, /* not in this build, artifact or machine */
  LLMRT_EXHAUSTED = 5,   /* memory, pages, queue: may work later */
  LLMRT_CANCELLED = 6,
  LLMRT_INTERNAL = 7,
  LLMRT_TOO_SMALL = 8 /* the buffer; the length that is needed was stored */
} llmrt_code;

/* What went wrong, in words. The caller's memory; untouched when a call succeeds. */
typedef struct llmrt_error {
  size_t size; /* sizeof(llmrt_error) */
  llmrt_code code;
  char message[1012]; /* terminated */
} llmrt_error;

/* Kernels linked into the program: `llmc compile --emit-kernels FILE.a` writes the archive, and FILE.h that names it. */
typedef struct llmrt_kernel_library llmrt_kernel_library;

/* How the artifact's kernels get into the process. */
typedef enum llmrt_code_loading {
  LLMRT_CODE_AUTO = 0,  /* STATIC where `kernels` is given; else MAP, and COPY where the system forbids that */
  LLMRT_CODE_MAP = 1,   /* read and executed straight from the file */
  LLMRT_CODE_COPY = 2,  /* memory that is written and then made executable */
  LLMRT_CODE_STATIC = 3 /* linked into the program */
} llmrt_code_loading;

/* ---- models ---------------------------------------------------------------------------------------------------- */
typedef struct llmrt_open_options {
  size_t size; /* sizeof(llmrt_open_options) */
  int32_t threads;             /* that compute; 0: all that this process may use */
  int32_t manual_steps;        /* 0: a thread of the library runs the steps; 1: the caller does, with llmrt_step */
  const char *cpu_tier;        /* NULL: the best of the artifact for this machine */
  size_t cpu_tier_length;
  int64_t max_model_len;       /* 0: the artifact's default; likewise below */
  int64_t max_num_batched_tokens;
  int64_t max_num_seqs;
  int64_t kv_cache_memory_bytes;
  int32_t disable_prefix_caching;
  int32_t verify_weights;      /* 1: check the weights' hashes first */
  int64_t max_logit_rows;      /* of a step, for llmrt_logits: more is faster and takes vocabulary x 4 bytes each; 0: 16 */
  const llmrt_kernel_library *kernels; /* for STATIC; must outlive the model; NULL: none */
  int32_t code_loading;                /* llmrt_code_loading */
  int32_t embeddings;                  /* 1: take the memory that llmrt_embed needs */
  int32_t no_self_test;                /* 1: do not try the kernels on the artifact's golden vectors first */
} llmrt_open_options;

/* `options` may be NULL. */
LLMRT_API llmrt_code llmrt_open(const char *path, size_t path_length, const llmrt_open_options *options,
                                llmrt_model **model, llmrt_error *error);
/* Cancels what runs. Requests must be released before. NULL is allowed. */
LLMRT_API void llmrt_close(llmrt_model *model);

typedef struct llmrt_model_info {
  size_t size; /* sizeof(llmrt_model_info) */
  int64_t vocabulary;    /* columns of the logits; ids are below it */
  int64_t max_model_len; /* tokens of a sequence, prompt and answer */
  int32_t begin_id;      /* -1: none */
  int32_t has_tokenizer, has_chat_template;
  char root_hash[65];    /* the artifact's name, hexadecimal, terminated */
  int64_t embedding_size; /* floats of llmrt_embed; 0: not opened for them, or the artifact is older than they are */
} llmrt_model_info;

LLMRT_API llmrt_code llmrt_get_model_info(const llmrt_model *model, llmrt_model_info *info, llmrt_error *error);

/* ---- text ------------------------------------------------------------------------------------------------------ */
/* Stores at most `capacity` ids and their number in *count. LLMRT_TOO_SMALL stores the number that is needed. */
LLMRT_API llmrt_code llmrt_tokenize(const llmrt_model *model, const char *text, size_t length, int32_t add_special,
                                    int32_t *ids, size_t capacity, size_t *count, llmrt_error *error);
/* Stores at most `capacity` bytes, without a terminator, and their number in *length. */
LLMRT_API llmrt_code llmrt_detokenize(const llmrt_model *model, const int32_t *ids, size_t count, int32_t skip_special,
                                      char *text, size_t capacity, size_t *length, llmrt_error *error);
/* Renders the chat template over a JSON object: {"messages":[...],"add_generation_prompt":true,...}. */
LLMRT_API llmrt_code llmrt_render_chat(const llmrt_model *model, const char *variables_json, size_t json_length,
                                       char *text, size_t capacity, size_t *length, llmrt_error *error);

/* ---- requests -------------------------------------------------------------------------------------------------- */
typedef struct llmrt_string {
  const char *data;
  size_t length;
} llmrt_string;

/* Fill with llmrt_get_default_sampling first: the defaults are the model's own. */
typedef struct llmrt_sampling {
  size_t size;       /* sizeof(llmrt_sampling) */
  float temperature; /* 0: always the best token */
  float top_p, min_p;
  int32_t top_k; /* -1: all */
  float repetition_penalty, presence_penalty, frequency_penalty;
  uint64_t seed;
  int32_t logprobs; /* -1: none; else that many alternatives are computed for each token */
} llmrt_sampling;

LLMRT_API llmrt_code llmrt_get_default_sampling(const llmrt_model *model, llmrt_sampling *sampling,
                                                llmrt_error *error);

typedef struct llmrt_request_options {
  size_t size; /* sizeof(llmrt_request_options) */
  const int32_t *prompt;
  size_t prompt_count;            /* at least 1 */
  const llmrt_sampling *sampling; /* NULL: the model's defaults with seed 0 */
  int32_t max_tokens, min_tokens;
  const int32_t *stop_ids;
  size_t stop_id_count;
  const llmrt_string *stop_strings;
  size_t stop_string_count;
  int32_t ignore_eos, keep_special; /* keep_special: special tokens appear in the text */
  int32_t priority;                 /* lower first, where the model was opened for that */
} llmrt_request_options;

LLMRT_API llmrt_code llmrt_submit(llmrt_model *model, const llmrt_request_options *options, llmrt_request **request,
                                  llmrt_error *error);
/* Ends a request early: it still gives LLMRT_EVENT_FINISHED. */
LLMRT_API void llmrt_cancel(llmrt_request *request);
/* Cancels it if it runs, and frees it. NULL is allowed. */
LLMRT_API void llmrt_release(llmrt_request *request);

typedef enum llmrt_event_type {
  LLMRT_EVENT_NONE = 0, /* nothing came within the time */
  LLMRT_EVENT_TOKEN = 1,
  LLMRT_EVENT_FINISHED = 2 /* the last one */
} llmrt_event_type;

typedef enum llmrt_finish_reason {
  LLMRT_FINISH_NONE = 0,
  LLMRT_FINISH_STOP = 1, /* an end id, a stop id or a stop string */
  LLMRT_FINISH_LENGTH = 2,
  LLMRT_FINISH_CANCELLED = 3,
  LLMRT_FINISH_ERROR = 4
} llmrt_finish_reason;

typedef struct llmrt_event {
  size_t size; /* sizeof(llmrt_event) */
  llmrt_event_type type;
  int32_t token;   /* with TOKEN: the new id */
  float logprob;   /* with TOKEN, where logprobs were asked for */
  llmrt_string text; /* what is new of the text, whole characters; valid until the request's next poll or release */
  llmrt_finish_reason finish_reason; /* with FINISHED */
  int64_t prompt_tokens, cached_tokens, new_tokens; /* so far */
} llmrt_event;

/* The request's next event, after at most `timeout_ms` milliseconds (0: at once; -1: as long as it takes). With
 * manual_steps nothing comes while nobody steps. FINISHED is repeated if polled again. LLMRT_FINISH_ERROR puts the
 * reason into `error`, though the call itself succeeds. */
LLMRT_API llmrt_code llmrt_poll(llmrt_request *request, int64_t timeout_ms, llmrt_event *event, llmrt_error *error);

/* With manual_steps: runs one step for all requests. *worked is 0 when there was nothing to do. */
LLMRT_API llmrt_code llmrt_step(llmrt_model *model, int32_t *worked, llmrt_error *error);

/* Scores of every id of a sequence: `logits` takes count x vocabulary floats, row by row. Waits for the result; with
 * manual_steps it runs the steps. */
LLMRT_API llmrt_code llmrt_logits(llmrt_model *model, const int32_t *ids, size_t count, float *logits, size_t capacity,
                                  llmrt_error *error);

/* Which hidden states of the last layer (after its norm) become the embedding. */
typedef enum llmrt_pooling {
  LLMRT_POOL_MEAN = 1,
  LLMRT_POOL_CLS = 2, /* the first token's */
  LLMRT_POOL_LAST = 3
} llmrt_pooling;

/* An embedding of a sequence: llmrt_model_info.embedding_size floats, of Euclidean length 1 if `normalize` is not 0.
 * `pooling` is an llmrt_pooling. Waits for it like llmrt_logits. */
LLMRT_API llmrt_code llmrt_embed(llmrt_model *model, const int32_t *ids, size_t count, int32_t pooling,
                                 int32_t normalize, float *embedding, size_t capacity, llmrt_error *error);

LLMRT_API const char *llmrt_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif
