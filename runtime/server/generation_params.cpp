#include "runtime/server/generation_params.h"

#include "runtime/base/os.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace llmrt::server {

namespace {

constexpr int kMaxChoices = 128;
constexpr size_t kMaxStops = 64, kMaxStopBytes = 1024, kMaxBias = 1024;
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

void read_logit_bias(FieldReader &fields, const Model &model, SamplingParams &sampling) {
  const Json *bias = fields.value("logit_bias");
  if (!bias)
    return;
  if (!bias->is_object() || bias->size() > kMaxBias)
    return fields.fail("logit_bias", "must be an object from token ids to numbers, at most " +
                                         std::to_string(kMaxBias) + " of them");
  for (auto it = bias->begin(); it != bias->end(); ++it) {
    const std::string &key = it.key();
    int32_t id = -1;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= model.vocabulary)
      return fields.fail("logit_bias", "\"" + key + "\" is not a token id of this model");
    if (!it->is_number() || !(it->get<double>() >= -100 && it->get<double>() <= 100))
      return fields.fail("logit_bias", "a bias must be a number from -100 to 100");
    sampling.logit_bias.emplace_back(id, it->get<float>());
  }
}

void read_stops(FieldReader &fields, const Model &model, GenerationParams &params) {
  params.text.stop = fields.string_or_list("stop", kMaxStops);
  for (const std::string &stop : params.text.stop)
    if (stop.empty() || stop.size() > kMaxStopBytes)
      fields.fail("stop", "a stop string has from 1 to " + std::to_string(kMaxStopBytes) + " bytes");
  if (!params.text.stop.empty() && !model.tokenizer)
    fields.fail("stop", "this artifact has no tokenizer, so there is no text to search; use stop_token_ids");
  params.stop_ids = fields.ids("stop_token_ids", kMaxStops);
  for (int32_t id : params.stop_ids)
    if (id < 0 || id >= model.vocabulary)
      fields.fail("stop_token_ids", std::to_string(id) + " is not a token id of this model");
  params.text.include_stop = fields.boolean("include_stop_str_in_output").value_or(false);
  params.text.skip_special = fields.boolean("skip_special_tokens").value_or(true);
  params.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  params.min_tokens = static_cast<int32_t>(fields.integer("min_tokens", 0, kMaxInt).value_or(0));
  params.text.min_tokens = params.min_tokens;
}

void read_stream(FieldReader &fields, GenerationParams &params) {
  params.stream = fields.boolean("stream").value_or(false);
  const Json *options = fields.value("stream_options");
  if (!options)
    return;
  if (!params.stream)
    return fields.fail("stream_options", "is only for stream: true");
  FieldReader inner(*options);
  params.include_usage = inner.boolean("include_usage").value_or(false);
  params.continuous_usage = inner.boolean("continuous_usage_stats").value_or(false);
  inner.ignore({"include_obfuscation"}); // this server pads nothing
  if (auto error = inner.finish())
    fields.fail("stream_options", error->message);
}

// Everything of the conventions that would change the output and is not there yet.
void refuse_what_is_not_there(FieldReader &fields) {
  fields.refuse_unless("early_stopping", false);
  fields.refuse_unless("spaces_between_special_tokens", true);
  fields.refuse_unless("return_tokens_as_token_ids", false);
  fields.refuse_unless("return_token_ids", false);
  fields.refuse({"truncate_prompt_tokens", "bad_words", "allowed_token_ids", "logits_processors",
                 "kv_transfer_params", "vllm_xargs"});
  fields.ignore({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "request_id"});
}

// vLLM: `n` is the width of a beam search. Its beams rank by the model's own probabilities, so that what changes those
// would be without effect.
void read_beam_search(FieldReader &fields, GenerationParams &params) {
  static constexpr const char *kUnused[] = {"stop",          "stop_token_ids",   "logit_bias",
                                            "min_p",         "top_p",            "top_k",
                                            "presence_penalty", "frequency_penalty", "repetition_penalty"};
  for (const char *name : kUnused)
    if (fields.value(name))
      fields.fail(name, "has no effect on beam search; leave it out");
}

void read_branches(FieldReader &fields, GenerationParams &params) {
  params.best_of = static_cast<int>(fields.integer("best_of", 1, kMaxChoices).value_or(params.n));
  params.beam_search = fields.boolean("use_beam_search").value_or(false);
  auto penalty = fields.number("length_penalty", -100, 100);
  params.length_penalty = static_cast<float>(penalty.value_or(1));
  if (params.best_of < params.n)
    fields.fail("best_of", "must be at least n, which is " + std::to_string(params.n));
  if (params.beam_search)
    read_beam_search(fields, params);
  else if (penalty && *penalty != 1)
    fields.fail("length_penalty", "is for use_beam_search: true");
  if (params.best_of > params.n && params.stream)
    fields.fail("best_of", "cannot be more than n in a stream: which answers are best is known at the end");
  params.prompt_logprobs = static_cast<int>(fields.integer("prompt_logprobs", 0, 20).value_or(-1));
  if (params.prompt_logprobs >= 0 && params.stream)
    fields.fail("prompt_logprobs", "is not available in a stream");
}

} // namespace

GenerationParams read_generation_params(FieldReader &fields, const Model &model, ServerContext &context) {
  GenerationParams params;
  params.sampling = model.defaults;
  read_sampling(fields, model, "repetition_penalty", params.sampling);
  read_logit_bias(fields, model, params.sampling);
  read_stops(fields, model, params);
  read_stream(fields, params);
  auto seed = fields.integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  params.sampling.seed = seed ? static_cast<uint64_t>(*seed) : context.next_seed();
  params.priority = static_cast<int32_t>(fields.integer("priority", -kMaxInt, kMaxInt).value_or(0));
  params.cache_salt = fields.string("cache_salt").value_or("");
  if (auto deadline = fields.integer("deadline_ms", 1, kMaxInt)) // this server's own
    params.deadline_ns = os::monotonic_ns() + static_cast<uint64_t>(*deadline) * 1000000;
  params.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  read_branches(fields, params);
  params.shape = read_text_shape(fields);
  if (!params.shape.any() && params.beam_search)
    fields.fail(params.shape.field, "does not go together with use_beam_search");
  refuse_what_is_not_there(fields);
  return params;
}

std::optional<ApiError> check_model_field(FieldReader &fields, const Model &model, const ServerContext &context) {
  auto name = fields.string("model");
  if (!name || name->empty() || context.serves(model, *name))
    return std::nullopt;
  return ApiError{404, "The model `" + *name + "` does not exist; this server has `" + context.model_name(model) + "`.",
                  "model", 0};
}

} // namespace llmrt::server
