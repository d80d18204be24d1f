// A row's candidates in its place: the same token, or the row is asked for.
#include "runtime/engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace llmrt {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<Candidate> best_of(const std::vector<float> &logits, size_t count) {
  std::vector<Candidate> all;
  for (size_t id = 0; id < logits.size(); ++id) all.push_back({logits[id], int32_t(id)});
  std::sort(all.begin(), all.end(), [](const Candidate &a, const Candidate &b) {
    const bool none = std::isnan(a.logit), none_there = std::isnan(b.logit);
    if (none != none_there) return none;
    return none || a.logit == b.logit ? a.id < b.id : a.logit > b.logit;
  });
  all.resize(count, {-kInfinity, -1});
  return all;
}

struct Drawn {
  Status status;
  int32_t id = -1;
};

Drawn draw(Sampler &sampler, const SamplerInput &input) {
  NewToken token;
  Drawn drawn{sampler.sample(input, &token)};
  if (drawn.status.ok()) drawn.id = token.id;
  return drawn;
}

// Nothing but what acts on what top_k keeps.
SamplingParams random_params(std::mt19937 &random, int32_t most) {
  SamplingParams p;
  p.seed = random();
  p.temperature = std::array<float, 5>{0, 0.3f, 0.8f, 1.0f, 1.7f}[random() % 5];
  p.top_k = int32_t(1 + random() % uint32_t(most));
  if (random() % 2) p.top_p = 0.05f + 0.9f * float(random() % 1000) / 1000;
  if (random() % 3 == 0) p.min_p = 0.3f * float(random() % 1000) / 1000;
  if (random() % 3 == 0) p.typical_p = 0.2f + 0.7f * float(random() % 1000) / 1000;
  if (random() % 3 == 0) p.xtc_probability = 0.5f;
  return p;
}

std::vector<float> random_row(std::mt19937 &random, size_t vocabulary) {
  std::normal_distribution<float> normal(0, 2);
  const float steps = random() % 2 ? 8 : 1024; // many equal ones, or few
  std::vector<float> row(vocabulary);
  for (float &logit : row) logit = std::round(normal(random) * steps) / steps;
  if (random() % 4 == 0)
    for (float &logit : row)
      if (random() % 3) logit = -kInfinity;
  row[random() % vocabulary] = random() % 2 ? 0.0f : -0.0f;
  return row;
}

TEST(SamplerCandidates, GiveTheTokenOfTheRow) {
  std::mt19937 random(7);
  int decided = 0, undecided = 0;
  for (size_t vocabulary : {3, 40, 300}) {
    Sampler sampler{int64_t(vocabulary)}, fresh{int64_t(vocabulary)};
    for (int i = 0; i < 4000; ++i) {
      const SamplingParams params = random_params(random, 31);
      const std::vector<float> row = random_row(random, vocabulary);
      const std::vector<Candidate> candidates = best_of(row, 32);
      SamplerInput whole;
      whole.logits = row;
      whole.params = &params;
      whole.index = uint64_t(i);
      SamplerInput part = whole;
      part.logits = {};
      part.candidates = candidates;
      if (!sampler.decides(part)) {
        ++undecided;
        continue;
      }
      ++decided;
      ASSERT_EQ(draw(sampler, part).id, draw(fresh, whole).id) << "vocabulary " << vocabulary << " input " << i;
    }
  }
  EXPECT_GT(decided, 8000);
  EXPECT_GT(undecided, 50);
}

TEST(SamplerCandidates, EqualLogitsBeyondThemNeedTheRow) {
  Sampler sampler(6);
  SamplingParams params;
  params.top_k = 2;
  auto decides = [&](const std::vector<float> &row, size_t count) {
    const std::vector<Candidate> candidates = best_of(row, count);
    SamplerInput input;
    input.candidates = candidates;
    input.params = &params;
    return sampler.decides(input);
  };
  EXPECT_TRUE(decides({5, 4, 3, 2, 1, 0}, 3));
  EXPECT_FALSE(decides({5, 4, 4, 2, 1, 0}, 3)) << "there may be more of the second";
  EXPECT_TRUE(decides({5, 4, 4, 2, 1, 0}, 4));
  EXPECT_TRUE(decides({5, -kInfinity, -kInfinity, -kInfinity, -kInfinity, -kInfinity}, 3)) << "what may not come is equal";
  EXPECT_TRUE(decides({5, 4, 4, 4, 4, 4}, 7)) << "there are no more";
  EXPECT_FALSE(decides({0.0f, 3, -0.0f, -1, -1, -1}, 3)) << "the zeros are equal";
  params.top_k = 3;
  EXPECT_FALSE(decides({5, 4, 3, 2, 1, 0}, 3)) << "nothing shows that the third is the last of its size";
  params.temperature = 0;
  EXPECT_TRUE(decides({5, 5, 5, 5, 5, 5}, 3)) << "the first is the one";
}

TEST(SamplerCandidates, WhatLooksAtMoreNeedsTheRow) {
  const std::vector<Candidate> candidates = best_of({5, 4, 3, 2, 1, 0}, 4);
  Sampler sampler(6);
  SamplingParams good;
  good.top_k = 2;
  auto decides = [&](const SamplingParams &params, auto change) {
    SamplerInput input;
    input.candidates = candidates;
    input.params = &params;
    change(input);
    return sampler.decides(input);
  };
  auto nothing = [](SamplerInput &) {};
  EXPECT_TRUE(decides(good, nothing));
  const std::vector<int32_t> banned = {1};
  const std::vector<uint32_t> mask = {63};
  EXPECT_FALSE(decides(good, [&](SamplerInput &input) { input.banned[1] = banned; }));
  EXPECT_FALSE(decides(good, [&](SamplerInput &input) { input.mask = mask; }));
  EXPECT_FALSE(decides(good, [&](SamplerInput &input) { input.candidates = {}; }));
  void (*const changes[])(SamplingParams &) = {
      [](SamplingParams &p) { p.top_k = -1; },
      [](SamplingParams &p) { p.top_k = 4; },
      [](SamplingParams &p) { p.repetition_penalty = 1.1f; },
      [](SamplingParams &p) { p.presence_penalty = 0.1f; },
      [](SamplingParams &p) { p.frequency_penalty = 0.1f; },
      [](SamplingParams &p) { p.dry_multiplier = 0.1f; },
      [](SamplingParams &p) { p.logit_bias = {{3, 1.0f}}; },
      [](SamplingParams &p) { p.logprobs = 0; },
      [](SamplingParams &p) { p.mirostat = 2; },
  };
  for (const auto &change : changes) {
    SamplingParams params = good;
    change(params);
    EXPECT_FALSE(decides(params, nothing)) << "change " << (&change - changes);
  }
}

// What the row's own error is, candidates say too.
TEST(SamplerCandidates, NoNumberIsTheSameError) {
  Sampler sampler(5);
  for (float temperature : {0.0f, 1.0f})
    for (const std::vector<float> &row :
         {std::vector<float>{1, std::nanf(""), 2, 3, 4}, {1, -std::nanf(""), 2, 3, 4}, {1, kInfinity, 2, 3, 4},
          {-kInfinity, -kInfinity, -kInfinity, -kInfinity, -kInfinity}}) {
      SamplingParams params;
      params.temperature = temperature;
      params.top_k = 1;
      const std::vector<Candidate> candidates = best_of(row, 3);
      SamplerInput whole, part;
      whole.params = part.params = &params;
      whole.logits = row;
      part.candidates = candidates;
      ASSERT_TRUE(sampler.decides(part));
      const Drawn expected = draw(sampler, whole), drawn = draw(sampler, part);
      EXPECT_EQ(drawn.status.code(), StatusCode::kInternal);
      EXPECT_EQ(drawn.status.message(), expected.status.message());
    }
}

// Candidates that no device of ours makes are an error, whatever looks at them.
TEST(SamplerCandidates, StrangeOnesAreAnError) {
  Sampler sampler(5);
  SamplingParams params;
  params.top_k = 2;
  params.min_p = 0.1f;
  params.top_p = 0.9f;
  const std::vector<Candidate> strange[] = {{{1, 5}, {0, 1}, {-1, 2}},
                                            {{3, 4}, {2, 9}, {-1, 2}},
                                            {{3, 4}, {std::nanf(""), 0}, {-1, 2}},
                                            {{3, 4}, {2, 0}, {2.5f, 1}}};
  for (const std::vector<Candidate> &candidates : strange) {
    SamplerInput input;
    input.params = &params;
    input.candidates = candidates;
    EXPECT_EQ(draw(sampler, input).status.code(), StatusCode::kInternal) << &candidates - strange;
  }
}

} // namespace
} // namespace llmrt
