// The fields that completions and chat share, from JSON to what the engine takes.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/fields.h"
#include "runtime/server/text_shape.h"
#include "runtime/session/text_stream.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace llmrt::server {

struct GenerationParams {
  SamplingParams sampling;
  TextOptions text;
  std::vector<int32_t> stop_ids;
  int64_t max_tokens = -1; // -1: what the context leaves
  int32_t min_tokens = 0;
  bool ignore_eos = false;
  int32_t priority = 0;
  uint64_t deadline_ns = 0; // RequestSpec's
  std::string cache_salt;
  int n = 1, best_of = 1; // best_of >= n answers are made, the n with the best mean log probability are given
  bool beam_search = false;
  float length_penalty = 1;
  int prompt_logprobs = -1;
  Pooling pooling = Pooling::kNone; // else there is no answer: max_tokens is 0
  TextShape shape; // of the answers; compiled when the generation starts
  std::shared_ptr<const TokenRules> rules;
  bool stream = false, include_usage = false, continuous_usage = false;
};

// Reads every shared field; mistakes are kept by the reader. Defaults are the model's own. `logprobs` is not read here:
// the two endpoints spell it differently.
GenerationParams read_generation_params(FieldReader &fields, const Model &model, ServerContext &context);

// temperature to mirostat_eta, over what `sampling` has; endpoints call the repetition penalty differently.
void read_sampling(FieldReader &fields, const Model &model, const char *repetition_penalty, SamplingParams &sampling);

// model: absent, or a name that is served; else a 404.
std::optional<ApiError> check_model_field(FieldReader &fields, const Model &model, const ServerContext &context);

} // namespace llmrt::server
