// What verbs share: the flags of a model, errors to exit codes, interruption, files.
#pragma once

#include "runtime/base/status.h"
#include "runtime/session/model.h"
#include "tools/llmrt/flags.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llmrt::tool {

inline constexpr int kOk = 0, kError = 1, kUsage = 2, kInterrupted = 130;

// "llmrt: ..." on stderr. Returns kError.
int fail(const Status &status);
int fail(const std::string &message);
int usage(const std::string &message); // the same; returns kUsage

struct ModelFlags {
  std::string file, model; // positional, or -m
  std::vector<std::string> cpu_tiers;
  std::string gpu_tier;
  std::string device = "auto", kv_cache_dtype = "auto", scheduling_policy = "fcfs", admission = "optimistic";
  int64_t threads = 0, max_model_len = 0, max_num_batched_tokens = 0, max_num_seqs = 0, kv_cache_memory_bytes = 0,
          kv_pages = 0, max_queue = 0;
  double max_itl_ms = 0;
  bool prefix_caching = true, chunked_prefill = true, verify_weights = false, no_self_test = false,
       print_memory = false, json = false, quiet = false;
};

void add_model_flags(Flags &flags, ModelFlags &to);
void add_engine_flags(Flags &flags, ModelFlags &to); // all of them but the file
// --print-memory and --json, for verbs that run the model; `json` says what --json gives.
void add_report_flags(Flags &flags, ModelFlags &to, const char *json);
// For verbs that only read text tables.
void add_file_flags(Flags &flags, ModelFlags &to);

// Checks the flags; kInvalidArgument is wrong usage.
Result<ModelOptions> model_options(const ModelFlags &flags);
Result<ModelOptions> engine_options(const ModelFlags &flags); // the same without a path
// kUsage for what the user asked wrongly, kError for the rest, after saying so; kOk and *model otherwise.
int open_model(const ModelOptions &options, std::unique_ptr<Model> *model);
// Opens the artifact and sizes the step's output rows for verbs that want the logits of every prompt token.
Status open_for_rows(ModelOptions &options);
// --print-memory for these options; `server_threads` beside the engine's.
int print_memory(const ModelOptions &options, bool json, int server_threads);
// The same for models that are in one process, with the sums.
int print_memory_of_all(const std::vector<ModelOptions> &models, bool json, int server_threads);

// SIGINT and SIGTERM are counted instead of ending the process, until more than `patience` came.
void catch_interrupts(int patience = 1);
int interruptions();
inline bool interrupted() { return interruptions() > 0; }
bool was_sigint(); // the first of them

// Steps the engine until done() or an interruption. Returns an exit code.
int step_until(Engine &engine, const std::function<bool()> &done);

// A whole file; "-" is standard input.
Result<std::string> read_text(const std::string &path);
// "1,2,3", or "@FILE" with ids separated by commas or white space.
Result<std::vector<int32_t>> read_ids(const std::string &argument);
// One sequence a line.
Result<std::vector<std::vector<int32_t>>> read_id_lines(const std::string &path);
Result<std::vector<int32_t>> parse_ids(std::string_view text);

// To stdout; false (said on stderr) if it cannot be written.
bool print(std::string_view text);
bool flush_stdout();

} // namespace llmrt::tool
