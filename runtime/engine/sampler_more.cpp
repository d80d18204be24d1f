// The samplers that llama.cpp's users know: DRY, typical_p, XTC, mirostat. Their place in the order: docs/sampling.md.
#include "runtime/engine/philox.h"
#include "runtime/engine/portable_exp.h"
#include "runtime/engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace llmrt {

namespace {

constexpr int32_t kLongestRepeat = 64; // of DRY: longer ones are punished no more; bounds the time for a long context

// The prompt and what was generated as one sequence.
struct History {
  std::span<const int32_t> prompt, generated;
  int64_t size() const { return int64_t(prompt.size() + generated.size()); }
  int32_t at(int64_t i) const {
    return i < int64_t(prompt.size()) ? prompt[size_t(i)] : generated[size_t(i) - prompt.size()];
  }
};

double power(double base, double exponent) { return portable_exp(exponent * portable_log(base)); }

} // namespace

// Don't Repeat Yourself (https://github.com/oobabooga/text-generation-webui/pull/5677): an id that would make the end of
// the text a longer repeat of `length` tokens loses multiplier x base ^ (length - allowed_length).
void Sampler::punish_repeats(const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  const History text{input.prompt, input.generated};
  const int64_t size = text.size();
  const int64_t start = p.dry_penalty_last_n < 0 ? 0 : std::max<int64_t>(0, size - p.dry_penalty_last_n);
  auto breaks = [&p](int32_t id) {
    return std::find(p.dry_breakers.begin(), p.dry_breakers.end(), id) != p.dry_breakers.end();
  };
  if (size - start < 2 || breaks(text.at(size - 1))) return;
  // counts_ holds the longest repeat that each id would continue; it is 0 between calls.
  auto visit = [&](auto &&use) {
    for (int64_t i = start; i + 1 < size; ++i) {
      const int32_t next = text.at(i + 1);
      if (text.at(i) == text.at(size - 1) && !breaks(next)) use(i, next);
    }
  };
  visit([&](int64_t i, int32_t next) {
    int32_t length = 1;
    while (length < kLongestRepeat && i - length >= start && text.at(i - length) == text.at(size - 1 - length) &&
           !breaks(text.at(i - length)))
      ++length;
    counts_[size_t(next)] = std::max(counts_[size_t(next)], length);
  });
  visit([&](int64_t, int32_t next) {
    const int32_t length = std::exchange(counts_[size_t(next)], 0);
    if (length == 0 || length < p.dry_allowed_length) return;
    double penalty = double(p.dry_multiplier);
    for (int32_t n = p.dry_allowed_length; n < length; ++n) penalty *= double(p.dry_base);
    logits_[size_t(next)] -= float(std::min(penalty, 1e30));
  });
}

// Locally typical sampling (Meister et al., TACL 2023): of the candidates, those whose surprise is nearest to the
// expected one, the fewest whose weights reach `typical_p` of the whole; the lower id first on a tie.
size_t Sampler::keep_typical(size_t count, double typical_p) {
  const double total = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(count), 0.0);
  auto surprise = [&](size_t i) { return -portable_log(std::max(weights_[i] / total, 0x1p-990)); };
  double expected = 0;
  for (size_t i = 0; i < count; ++i) expected += weights_[i] / total * surprise(i);
  for (size_t i = 0; i < count; ++i) // the bits of a float that is not negative ascend with it
    entries_[i] = {std::bit_cast<uint32_t>(float(std::fabs(surprise(i) - expected))), int32_t(i)};
  sort_by_key(count);
  double sum = 0;
  size_t needed = 0;
  while (needed < count && (needed == 0 || sum < typical_p * total)) sum += weights_[size_t(entries_[needed++].id)];
  const Entry last = entries_[needed - 1];
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t key = std::bit_cast<uint32_t>(float(std::fabs(surprise(i) - expected)));
    seen_[i] = key < last.key || (key == last.key && int32_t(i) <= last.id);
  }
  for (size_t i = 0; i < count; ++i) { // weights_ is read above, so it is packed last
    if (!std::exchange(seen_[i], uint8_t(0))) continue;
    ids_[kept] = ids_[i];
    weights_[kept++] = weights_[i];
  }
  return kept;
}

// Exclude Top Choices (https://github.com/oobabooga/text-generation-webui/pull/6335): now and then, of the candidates
// whose probability is at least the threshold, only the least likely one stays.
size_t Sampler::exclude_top(size_t count, const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  if (uniform_draw(p.seed, input.index, input.branch, 1) >= double(p.xtc_probability)) return count;
  const double total = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(count), 0.0);
  const double limit = double(p.xtc_threshold) * total;
  size_t above = 0, least = 0;
  for (size_t i = 0; i < count; ++i) {
    if (weights_[i] < limit) continue;
    if (above++ == 0 || weights_[i] <= weights_[least]) least = i; // the higher id on a tie
  }
  if (above < 2) return count;
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (weights_[i] >= limit && i != least) continue;
    ids_[kept] = ids_[i];
    weights_[kept++] = weights_[i];
  }
  return kept;
}

// Candidates best first, the lower id first on a tie: entries_[i].id is the i-th one's index.
void Sampler::sort_candidates(size_t count) {
  for (size_t i = 0; i < count; ++i) entries_[i] = {descending_key(logits_[size_t(ids_[i])]), int32_t(i)};
  sort_by_key(count);
}

// How many of the sorted candidates mirostat keeps (Basu et al., ICLR 2021). Version 1 estimates the distribution's
// exponent from the best 100 and takes the k that gives the surprise mu; version 2 takes what surprises at most mu.
size_t Sampler::mirostat_count(size_t count, double mu, int version, double total) const {
  auto probability = [&](size_t rank) { return weights_[size_t(entries_[rank].id)] / total; };
  const double bits = 1 / portable_log(2);
  size_t kept = 0;
  if (version == 2) {
    while (kept < count && (kept == 0 || -portable_log(std::max(probability(kept), 0x1p-990)) * bits <= mu)) ++kept;
    return kept;
  }
  constexpr size_t kBest = 100;
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < std::min(kBest, count); ++i) {
    const double t = portable_log(double(i + 2) / double(i + 1));
    const double low = probability(i + 1);
    if (low < 0x1p-990) break;
    products += t * portable_log(probability(i) / low);
    squares += t * t;
  }
  const double s = squares > 0 ? products / squares : 0, epsilon = s - 1;
  if (s <= 0 || std::fabs(epsilon) < 1e-9) return count;
  const double value =
      epsilon * power(2, std::clamp(mu, -500.0, 500.0)) / (1 - power(double(logits_.size()), -epsilon));
  const double k = value > 0 ? power(std::clamp(value, 1e-200, 1e200), std::min(1 / s, 1.0 / 0.01)) : 1;
  return size_t(std::clamp(std::floor(k), 1.0, double(count)));
}

// Draws, and moves mu towards the surprise that was asked for.
int32_t Sampler::draw_mirostat(size_t count, const SamplerInput &input) {
  const SamplingParams &p = *input.params;
  double mu = input.mirostat_mu && *input.mirostat_mu >= 0 ? *input.mirostat_mu : 2 * double(p.mirostat_tau);
  const double all = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(count), 0.0);
  sort_candidates(count);
  const size_t kept = mirostat_count(count, mu, p.mirostat, all);
  for (size_t rank = 0; rank < kept; ++rank) seen_[size_t(entries_[rank].id)] = 1;
  size_t packed = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::exchange(seen_[i], uint8_t(0))) continue;
    ids_[packed] = ids_[i];
    weights_[packed++] = weights_[i];
  }
  const size_t taken = draw_weighted(packed, input);
  const double total = std::accumulate(weights_.begin(), weights_.begin() + ptrdiff_t(packed), 0.0);
  const double surprise = -portable_log(std::max(weights_[taken] / total, 0x1p-990)) / portable_log(2);
  mu -= double(p.mirostat_eta) * (surprise - double(p.mirostat_tau));
  if (input.mirostat_mu) *input.mirostat_mu = std::max(mu, 0.0);
  return ids_[taken];
}

} // namespace llmrt
