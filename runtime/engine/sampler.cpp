#include "runtime/engine/sampler.h"

#include "runtime/base/argmax.h"
#include "runtime/base/text.h"
#include "runtime/engine/philox.h"
#include "runtime/engine/portable_exp.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace llmrt {

namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

constexpr const char *kNothingLeft = "bias, penalties, bans and the grammar leave no token that may come next";

Status out_of_range(const char *field, float value, const char *range) {
  return Status(StatusCode::kInvalidArgument,
                std::string(field) + " must be " + range + ", not " +
                    (std::isfinite(value) ? format_number(value) : std::string("infinite or not a number")));
}

Status no_number(const SamplerInput &input) {
  return Status(StatusCode::kInternal,
                "the model gave a logit that is not a finite number for new token " + std::to_string(input.index));
}

} // namespace

Status check_sampling(const SamplingParams &p, int64_t vocabulary) {
  if (!(p.temperature >= 0 && p.temperature <= FLT_MAX)) return out_of_range("temperature", p.temperature, "0 or more");
  if (!(p.top_p > 0 && p.top_p <= 1)) return out_of_range("top_p", p.top_p, "above 0 and at most 1");
  if (p.top_k < -1) return out_of_range("top_k", float(p.top_k), "-1, 0 (off) or more");
  if (!(p.min_p >= 0 && p.min_p <= 1)) return out_of_range("min_p", p.min_p, "between 0 and 1");
  if (!(p.repetition_penalty > 0 && p.repetition_penalty <= FLT_MAX))
    return out_of_range("repetition_penalty", p.repetition_penalty, "above 0");
  if (!(std::fabs(p.presence_penalty) <= 2))
    return out_of_range("presence_penalty", p.presence_penalty, "between -2 and 2");
  if (!(std::fabs(p.frequency_penalty) <= 2))
    return out_of_range("frequency_penalty", p.frequency_penalty, "between -2 and 2");
  if (!(p.typical_p > 0 && p.typical_p <= 1)) return out_of_range("typical_p", p.typical_p, "above 0 and at most 1");
  if (!(p.dry_multiplier >= 0 && p.dry_multiplier <= 1000))
    return out_of_range("dry_multiplier", p.dry_multiplier, "between 0 and 1000");
  if (!(p.dry_base >= 1 && p.dry_base <= 1000)) return out_of_range("dry_base", p.dry_base, "between 1 and 1000");
  if (p.dry_allowed_length < 0) return out_of_range("dry_allowed_length", float(p.dry_allowed_length), "0 or more");
  if (p.dry_penalty_last_n < -1)
    return out_of_range("dry_penalty_last_n", float(p.dry_penalty_last_n), "-1 (the whole text) or more");
  if (!(p.xtc_probability >= 0 && p.xtc_probability <= 1))
    return out_of_range("xtc_probability", p.xtc_probability, "between 0 and 1");
  if (!(p.xtc_threshold >= 0 && p.xtc_threshold <= 1))
    return out_of_range("xtc_threshold", p.xtc_threshold, "between 0 and 1");
  if (p.mirostat < 0 || p.mirostat > 2) return out_of_range("mirostat", float(p.mirostat), "0 (off), 1 or 2");
  if (!(p.mirostat_tau >= 0 && p.mirostat_tau <= 100))
    return out_of_range("mirostat_tau", p.mirostat_tau, "between 0 and 100");
  if (!(p.mirostat_eta >= 0 && p.mirostat_eta <= 1))
    return out_of_range("mirostat_eta", p.mirostat_eta, "between 0 and 1");
  if (p.logprobs < -1 || p.logprobs > vocabulary)
    return out_of_range("logprobs", float(p.logprobs), "-1 (off) or at most the vocabulary's size");
  for (const auto &[id, bias] : p.logit_bias) {
    if (id < 0 || id >= vocabulary)
      return Status(StatusCode::kInvalidArgument, "logit_bias names token " + std::to_string(id) +
                                                      ", the vocabulary has " + std::to_string(vocabulary));
    if (!std::isfinite(bias)) return out_of_range("logit_bias", bias, "a finite number");
  }
  return ok_status();
}

bool take_candidates(const SamplingParams &p, int64_t count) {
  const bool penalties = p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0;
  if (count < 1 || !p.logit_bias.empty() || penalties || p.dry_multiplier > 0 || p.logprobs >= 0) return false;
  return p.temperature == 0 || (p.mirostat == 0 && p.top_k > 0 && p.top_k < count);
}

Sampler::Sampler(int64_t vocabulary)
    : logits_(size_t(vocabulary)), counts_(size_t(vocabulary)), seen_(size_t(vocabulary)), ids_(size_t(vocabulary)),
      weights_(size_t(vocabulary)), entries_(size_t(vocabulary)), spare_(size_t(vocabulary)) {}

bool Sampler::decides(const SamplerInput &input) const {
  const SamplingParams &p = *input.params;
  const bool bans = !input.banned[0].empty() || !input.banned[1].empty() || !input.mask.empty();
  if (bans || !take_candidates(p, int64_t(input.candidates.size()))) return false;
  const Candidate &best = input.candidates.front(), &last = input.candidates.back();
  if (p.temperature == 0 || !(best.logit <= FLT_MAX)) return true; // the first says it all
  if (last.id < 0 || last.logit == kMinusInfinity) return true; // nothing else may come
  return descending_key(last.logit) > descending_key(input.candidates[size_t(p.top_k) - 1].logit);
}

Status Sampler::sample_candidates(const SamplerInput &input, NewToken *token) {
  const Candidate &best = input.candidates.front();
  if (best.id < 0 || !(best.logit <= FLT_MAX) || best.logit == kMinusInfinity) return no_number(input);
  size_t count = 0;
  float before = best.logit;
  for (const Candidate &one : input.candidates) {
    if (one.id < 0 || one.logit == kMinusInfinity) break; // none of those behind it may come
    if (size_t(one.id) >= logits_.size()) return Status(StatusCode::kInternal, "the device gave an id that does not exist");
    if (!(one.logit <= before)) // the draw counts on the largest, and on numbers
      return Status(StatusCode::kInternal, "the device gave candidates that are in no order");
    before = one.logit;
    logits_[size_t(one.id)] = one.logit;
    ids_[count++] = one.id;
  }
  token->id = best.id;
  if (input.params->temperature == 0) return ok_status();
  std::sort(ids_.begin(), ids_.begin() + ptrdiff_t(count));
  token->id = draw_among(count, best.logit, input);
  return ok_status();
}

Status Sampler::sample(const SamplerInput &input, NewToken *token) {
  if (!input.candidates.empty()) return sample_candidates(input, token);
  token->id = argmax(input.logits);
  if (token->id < 0 || input.logits[size_t(token->id)] == kMinusInfinity) return no_number(input);
  const bool adjusted = adjust(input);
  if (input.params->temperature > 0) {
    if (!adjusted) std::copy(input.logits.begin(), input.logits.end(), logits_.begin());
    if (Status status = draw(input, &token->id); !status.ok()) return status;
  } else if (adjusted) {
    token->id = argmax(logits_);
    if (token->id < 0 || logits_[size_t(token->id)] == kMinusInfinity)
      return Status(StatusCode::kInvalidArgument, kNothingLeft);
  }
  return input.params->logprobs < 0 ? ok_status() : score(input.logits, input.params->logprobs, token);
}

// logits_ becomes what temperature applies to; false, and logits_ untouched, if that is the input itself.
bool Sampler::adjust(const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  const bool penalties = p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0;
  const bool bans = !input.banned[0].empty() || !input.banned[1].empty() || !input.mask.empty();
  if (p.logit_bias.empty() && !penalties && !bans && p.dry_multiplier <= 0) return false;
  std::copy(input.logits.begin(), input.logits.end(), logits_.begin());
  for (const auto &[id, bias] : p.logit_bias) logits_[size_t(id)] += bias;
  if (penalties) penalize(input);
  if (p.dry_multiplier > 0) punish_repeats(input);
  for (std::span<const int32_t> ids : input.banned)
    for (int32_t id : ids)
      if (id >= 0 && size_t(id) < logits_.size()) logits_[size_t(id)] = kMinusInfinity;
  if (!input.mask.empty())
    for (size_t id = 0; id < logits_.size(); ++id)
      if (!(input.mask[id / 32] >> (id % 32) & 1)) logits_[id] = kMinusInfinity;
  return true;
}

void Sampler::penalize(const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  if (p.repetition_penalty != 1)
    for (std::span<const int32_t> ids : {input.prompt, input.generated})
      for (int32_t id : ids) {
        if (seen_[size_t(id)]) continue;
        seen_[size_t(id)] = 1;
        float &logit = logits_[size_t(id)];
        logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
      }
  if (p.presence_penalty != 0 || p.frequency_penalty != 0) {
    for (int32_t id : input.generated) ++counts_[size_t(id)];
    for (int32_t id : input.generated) {
      int32_t &count = counts_[size_t(id)];
      if (count == 0) continue; // done
      logits_[size_t(id)] -= p.frequency_penalty * float(count);
      logits_[size_t(id)] -= p.presence_penalty;
      count = 0;
    }
  }
  for (std::span<const int32_t> ids : {input.prompt, input.generated})
    for (int32_t id : ids) seen_[size_t(id)] = 0;
}

Status Sampler::draw(const SamplerInput &input, int32_t *id) {
  const SamplingParams &p = *input.params;
  const int32_t best = argmax(logits_);
  if (best < 0 || logits_[size_t(best)] == kMinusInfinity)
    return Status(StatusCode::kInvalidArgument, kNothingLeft);
  size_t count = 0;
  for (size_t i = 0; i < logits_.size(); ++i) {
    ids_[count] = int32_t(i);
    count += logits_[i] > kMinusInfinity;
  }
  if (p.mirostat > 0) {
    weigh(count, logits_[size_t(best)], p.temperature);
    *id = draw_mirostat(count, input);
    return ok_status();
  }
  *id = draw_among(count, logits_[size_t(best)], input);
  return ok_status();
}

// Of the candidates ids_[0, count), without mirostat. Of logits_ it looks at theirs alone.
int32_t Sampler::draw_among(size_t count, float largest, const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  if (p.top_k > 0 && size_t(p.top_k) < count) count = keep_top_k(count, size_t(p.top_k));
  weigh(count, largest, p.temperature);
  if (p.typical_p < 1) count = keep_typical(count, p.typical_p);
  if (p.min_p > 0) count = keep_min_p(count, p.min_p);
  if (p.top_p < 1) count = keep_top_p(count, p.top_p);
  if (p.xtc_probability > 0 && p.xtc_threshold <= 0.5f) count = exclude_top(count, input);
  return ids_[draw_weighted(count, input)];
}

// The candidate at which the running sum of weights passes the draw.
size_t Sampler::draw_weighted(size_t count, const SamplerInput &input) {
  const double total = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(count), 0.0);
  const double target = uniform_draw(input.params->seed, input.index, input.branch) * total;
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += weights_[i];
    if (sum > target) return i;
  }
  return count - 1; // rounding may leave the target a hair above the last sum
}

// The weights of the candidates, the largest of which is 1.
void Sampler::weigh(size_t count, double largest, double temperature) {
  for (size_t i = 0; i < count; ++i) weights_[i] = (double(logits_[size_t(ids_[i])]) - largest) / temperature;
  portable_exp(weights_.data(), count);
}

// The `wanted` best of entries_[0, count), in order, become the first.
void Sampler::select(size_t count, size_t wanted) {
  auto better = [](const Entry &a, const Entry &b) { return a.key != b.key ? a.key < b.key : a.id < b.id; };
  const auto first = entries_.begin(), middle = first + ptrdiff_t(wanted), last = first + ptrdiff_t(count);
  if (wanted > 1024 && wanted < count) { // partial_sort is quick for few
    std::nth_element(first, middle, last, better);
    std::sort(first, middle, better);
  } else {
    std::partial_sort(first, middle, last, better);
  }
}

// Logits equal to the k-th largest all stay.
size_t Sampler::keep_top_k(size_t count, size_t k) {
  for (size_t i = 0; i < count; ++i) entries_[i] = {descending_key(logits_[size_t(ids_[i])]), ids_[i]};
  select(count, k);
  const uint32_t limit = entries_[k - 1].key;
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i)
    if (descending_key(logits_[size_t(ids_[i])]) <= limit) ids_[kept++] = ids_[i];
  return kept;
}

size_t Sampler::keep_min_p(size_t count, double min_p) {
  // Of those left the largest: typical_p may have left out the best of all.
  const auto least = min_p * *std::max_element(weights_.begin(), weights_.begin() + ptrdiff_t(count));
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i)
    if (weights_[i] >= least) {
      ids_[kept] = ids_[i];
      weights_[kept++] = weights_[i];
    }
  return kept;
}

// The fewest candidates, best first (lower id first on a tie), whose weights reach top_p of the whole.
size_t Sampler::keep_top_p(size_t count, double top_p) {
  const double total = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(count), 0.0);
  // What is below `floor` cannot be needed: all of it together is less than half of what top_p leaves out.
  const double floor = (1 - top_p) * total / (2 * double(count));
  size_t sorted = 0;
  for (size_t i = 0; i < count; ++i) // an entry's id is a candidate's index: both ascend together
    if (weights_[i] >= floor) entries_[sorted++] = {descending_key(logits_[size_t(ids_[i])]), int32_t(i)};
  sort_by_key(sorted);
  double sum = 0;
  size_t needed = 0;
  while (needed < sorted && (needed == 0 || sum < top_p * total)) sum += weights_[size_t(entries_[needed++].id)];
  const Entry last = entries_[needed - 1];
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t key = descending_key(logits_[size_t(ids_[i])]);
    if (key > last.key || (key == last.key && int32_t(i) > last.id)) continue;
    ids_[kept] = ids_[i];
    weights_[kept++] = weights_[i];
  }
  return kept;
}

// entries_[0, count) in ascending order of (key, id), which come in ascending order of id: a stable radix sort, whose
// time does not depend on the values.
void Sampler::sort_by_key(size_t count) {
  constexpr int kBits = 11;
  constexpr size_t kBuckets = size_t(1) << kBits;
  for (int shift = 0; shift < 32; shift += kBits) {
    std::array<uint32_t, kBuckets> starts{};
    for (size_t i = 0; i < count; ++i) ++starts[entries_[i].key >> shift & (kBuckets - 1)];
    uint32_t start = 0;
    for (uint32_t &bucket : starts) {
      const uint32_t size = bucket;
      bucket = start;
      start += size;
    }
    for (size_t i = 0; i < count; ++i) spare_[starts[entries_[i].key >> shift & (kBuckets - 1)]++] = entries_[i];
    std::swap(entries_, spare_);
  }
}

Status Sampler::score(std::span<const float> logits, int64_t wanted, NewToken *token) {
  if (argmax(logits) < 0)
    return Status(StatusCode::kInternal, "the model gave a logit that is not a finite number");
  const double largest = *std::max_element(logits.begin(), logits.end());
  for (size_t i = 0; i < logits.size(); ++i) weights_[i] = double(logits[i]) - largest;
  portable_exp(weights_.data(), weights_.size());
  const double normalizer = largest + portable_log(std::accumulate(weights_.begin(), weights_.end(), 0.0));
  auto logprob = [&](int32_t id) { return float(double(logits[size_t(id)]) - normalizer); };
  token->logprob = logprob(token->id);
  const float own = logits[size_t(token->id)];
  token->rank = 1 + int32_t(std::count_if(logits.begin(), logits.end(), [own](float other) { return other > own; }));
  if (wanted == 0) return ok_status();
  for (size_t i = 0; i < logits.size(); ++i) entries_[i] = {descending_key(logits[i]), int32_t(i)};
  select(logits.size(), size_t(wanted));
  token->top.resize(size_t(wanted));
  for (size_t i = 0; i < size_t(wanted); ++i) token->top[i] = {entries_[i].id, logprob(entries_[i].id)};
  return ok_status();
}

} // namespace llmrt
