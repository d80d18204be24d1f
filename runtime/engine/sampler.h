// From a row of logits to the next token. The order of what is applied, the tie rules and the draw: docs/sampling.md.
#pragma once

#include "runtime/base/status.h"
#include "runtime/device/device.h"
#include "runtime/engine/request.h"

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

struct SamplerInput {
  std::span<const float> logits; // [vocabulary], as the model gave them
  std::span<const Candidate> candidates; // in their place, where Sampler::decides(); as Device has them
  const SamplingParams *params = nullptr;
  std::span<const int32_t> prompt, generated;     // ids below the vocabulary
  std::array<std::span<const int32_t>, 2> banned; // ids that may not come now (min_tokens)
  std::span<const uint32_t> mask;                 // a bit an id, 1: allowed; empty: all are
  uint64_t index = 0;                             // of the new token in the request, from 0
  uint32_t branch = 0;                            // which of a request's samples
  double *mirostat_mu = nullptr; // mirostat's state between the tokens of a request; below 0: none yet
};

// kInvalidArgument naming the field that is out of its range.
Status check_sampling(const SamplingParams &params, int64_t vocabulary);

// The `count` best logits of a row, each with its id, may be all that these parameters ask of it: the largest is taken, or
// top_k keeps fewer and everything else that is set looks at nothing but what it keeps.
bool take_candidates(const SamplingParams &params, int64_t count);

// A token depends on its SamplerInput alone. Takes all memory in the constructor; sample() takes none but for
// NewToken::top. Not thread-safe.
class Sampler {
public:
  explicit Sampler(int64_t vocabulary);

  // The token that input.candidates give is the one that the whole row would give. Where it is not, the row is needed:
  // more logits may be as large as the last that top_k keeps.
  bool decides(const SamplerInput &input) const;

  // kInternal if a logit is NaN or +infinity; kInvalidArgument if everything is banned.
  Status sample(const SamplerInput &input, NewToken *token);

  // Log probabilities of the row itself: token->logprob of token->id, and token->top, the `wanted` best. kInternal if a
  // logit is NaN or +infinity.
  Status score(std::span<const float> logits, int64_t wanted, NewToken *token);

  static constexpr int64_t kBytesPerId = 4 + 4 + 1 + 4 + 8 + 16; // of scratch, for each id of the vocabulary

private:
  struct Entry {
    uint32_t key; // ascending as the logit descends
    int32_t id;
  };

  bool adjust(const SamplerInput &input);
  void penalize(const SamplerInput &input);
  Status sample_candidates(const SamplerInput &input, NewToken *token);
  Status draw(const SamplerInput &input, int32_t *id);
  int32_t draw_among(size_t count, float largest, const SamplerInput &input);
  void weigh(size_t count, double largest, double temperature);
  void select(size_t count, size_t wanted);
  size_t keep_top_k(size_t count, size_t k);
  size_t keep_min_p(size_t count, double min_p);
  size_t keep_top_p(size_t count, double top_p);
  void sort_by_key(size_t count);
  size_t draw_weighted(size_t count, const SamplerInput &input);
  // sampler_more.cpp
  void punish_repeats(const SamplerInput &input);
  size_t keep_typical(size_t count, double typical_p);
  size_t exclude_top(size_t count, const SamplerInput &input);
  void sort_candidates(size_t count);
  size_t mirostat_count(size_t count, double mu, int version, double total) const;
  int32_t draw_mirostat(size_t count, const SamplerInput &input);

  std::vector<float> logits_;
  std::vector<int32_t> counts_; // of generated ids, 0 between calls
  std::vector<uint8_t> seen_;   // 0 between calls; of ids or of candidates
  std::vector<int32_t> ids_;    // candidates in ascending order
  std::vector<double> weights_; // of the candidates
  std::vector<Entry> entries_, spare_;
};

// Ascending as the value descends; -0 and +0 are equal.
inline uint32_t descending_key(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);
  return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

} // namespace llmrt
