// The fields of samplers, which all endpoints that generate share.
#include "runtime/server/generation_params.h"

#include <limits>

namespace llmrt::server {

namespace {

constexpr double kLarge = 1e6;
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxBreakers = 32, kMaxBreakerBytes = 64;

void set(float &to, std::optional<double> value) {
  if (value)
    to = static_cast<float>(*value);
}

void set(int32_t &to, std::optional<int64_t> value) {
  if (value)
    to = static_cast<int32_t>(*value);
}

// As the sampler's author has it: of each breaker the last token counts, as it is after a letter.
void read_breakers(FieldReader &fields, const Model &model, SamplingParams &sampling) {
  std::vector<std::string> breakers = fields.string_or_list("dry_sequence_breakers", kMaxBreakers);
  if (sampling.dry_multiplier <= 0)
    return;
  if (!fields.value("dry_sequence_breakers"))
    breakers = {"\n", ":", "\"", "*"};
  for (const std::string &breaker : breakers) {
    if (breaker.empty() || breaker.size() > kMaxBreakerBytes)
      return fields.fail("dry_sequence_breakers",
                         "a breaker has from 1 to " + std::to_string(kMaxBreakerBytes) + " bytes");
    if (!model.tokenizer)
      continue; // ids alone: nothing breaks
    Result<std::vector<int32_t>> ids = model.tokenizer->encode("a" + breaker, false);
    if (!ids.ok())
      return fields.fail("dry_sequence_breakers", ids.status().message());
    if (!ids->empty())
      sampling.dry_breakers.push_back(ids->back());
  }
}

void read_more(FieldReader &fields, const Model &model, SamplingParams &sampling) {
  set(sampling.typical_p, fields.number("typical_p", 0, 1));
  if (sampling.typical_p <= 0)
    fields.fail("typical_p", "must be above 0 and at most 1");
  set(sampling.dry_multiplier, fields.number("dry_multiplier", 0, 1000));
  set(sampling.dry_base, fields.number("dry_base", 1, 1000));
  set(sampling.dry_allowed_length, fields.integer("dry_allowed_length", 0, kMaxInt));
  set(sampling.dry_penalty_last_n, fields.integer("dry_penalty_last_n", -1, kMaxInt));
  read_breakers(fields, model, sampling);
  set(sampling.xtc_probability, fields.number("xtc_probability", 0, 1));
  set(sampling.xtc_threshold, fields.number("xtc_threshold", 0, 1));
  set(sampling.mirostat, fields.integer("mirostat", 0, 2));
  set(sampling.mirostat, fields.integer("mirostat_mode", 0, 2)); // another name for it
  set(sampling.mirostat_tau, fields.number("mirostat_tau", 0, 100));
  set(sampling.mirostat_eta, fields.number("mirostat_eta", 0, 1));
}

} // namespace

void read_sampling(FieldReader &fields, const Model &model, const char *repetition_penalty, SamplingParams &sampling) {
  set(sampling.temperature, fields.number("temperature", 0, kLarge));
  set(sampling.top_p, fields.number("top_p", 0, 1));
  if (sampling.top_p <= 0)
    fields.fail("top_p", "must be above 0 and at most 1");
  set(sampling.top_k, fields.integer("top_k", -1, kMaxInt));
  set(sampling.min_p, fields.number("min_p", 0, 1));
  set(sampling.repetition_penalty, fields.number(repetition_penalty, 0, kLarge));
  if (sampling.repetition_penalty <= 0)
    fields.fail(repetition_penalty, "must be above 0");
  set(sampling.presence_penalty, fields.number("presence_penalty", -2, 2));
  set(sampling.frequency_penalty, fields.number("frequency_penalty", -2, 2));
  read_more(fields, model, sampling);
}

} // namespace llmrt::server
