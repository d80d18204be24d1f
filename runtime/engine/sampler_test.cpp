#include "runtime/engine/sampler.h"

#include "runtime/engine/philox.h"
#include "runtime/engine/portable_exp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace llmrt {
namespace {

using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// ---- the generator and the functions -------------------------------------------------------------------------------

TEST(Philox, KnownAnswersOfItsAuthors) { // kat_vectors of Random123
  using Counter = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t f = 0xffffffff;
  EXPECT_EQ(philox4x32({f, f, f, f}, {f, f}), (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PortableExp, AgreesWithTheRealFunctions) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> exponents(-700, 0), numbers(1e-6, 1e6);
  double exp_error = 0, log_error = 0; // the largest
  for (int i = 0; i < 100000; ++i) {
    const double x = i < 50000 ? exponents(random) : exponents(random) / 1000;
    exp_error = std::max(exp_error, std::fabs(portable_exp(x) / std::exp(x) - 1));
    const double y = numbers(random), log = std::log(y);
    log_error = std::max(log_error, std::fabs(portable_log(y) - log) / std::max(1.0, std::fabs(log)));
  }
  EXPECT_LT(exp_error, 4.5e-16);
  EXPECT_LT(log_error, 4.5e-16);
  double many[] = {
      -1, -700, -800, -0.25, 0, -double(kInfinity), -3, -50, -7, -0.5, std::numeric_limits<double>::quiet_NaN()};
  const std::vector<double> before(std::begin(many), std::end(many));
  portable_exp(many, std::size(many) - 1);
  for (size_t i = 0; i + 1 < std::size(many); ++i) EXPECT_EQ(many[i], portable_exp(before[i]));
  EXPECT_TRUE(std::isnan(many[std::size(many) - 1])) << "it is behind the end";
  EXPECT_EQ(portable_exp(before.back()), 0);
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_EQ(portable_log(1), 0);
  EXPECT_EQ(portable_exp(-double(kInfinity)), 0);
  EXPECT_EQ(portable_exp(-709), 0);
}

// ---- against a plain reference --------------------------------------------------------------------------------------

struct Input {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<int32_t> prompt, generated, banned;
  std::vector<uint32_t> mask;

  SamplerInput view() const {
    SamplerInput input;
    input.logits = logits;
    input.params = &params;
    input.prompt = prompt;
    input.generated = generated;
    input.banned[0] = banned;
    input.mask = mask;
    input.index = generated.size();
    return input;
  }
};

NewToken sample(Sampler &sampler, const Input &input) {
  NewToken token;
  const Status status = sampler.sample(input.view(), &token);
  EXPECT_TRUE(status.ok()) << status.message();
  return token;
}

// The logits that temperature applies to, step by step as request.h has them.
std::vector<float> reference_logits(const Input &in) {
  std::vector<float> logits = in.logits;
  const SamplingParams &p = in.params;
  for (auto [id, bias] : p.logit_bias) logits[size_t(id)] += bias;
  std::map<int32_t, int> all, made;
  for (int32_t id : in.prompt) ++all[id];
  for (int32_t id : in.generated) ++all[id], ++made[id];
  for (auto [id, count] : all) {
    float &logit = logits[size_t(id)];
    logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
  }
  for (auto [id, count] : made) {
    logits[size_t(id)] -= p.frequency_penalty * float(count);
    logits[size_t(id)] -= p.presence_penalty;
  }
  for (int32_t id : in.banned) logits[size_t(id)] = -kInfinity;
  for (size_t id = 0; id < logits.size() && !in.mask.empty(); ++id)
    if (!(in.mask[id / 32] >> (id % 32) & 1)) logits[id] = -kInfinity;
  return logits;
}

// The probability of every id after the filters, as transformers' warpers do it: sorting.
std::vector<double> reference_probabilities(const Input &in) {
  const std::vector<float> logits = reference_logits(in);
  const SamplingParams &p = in.params;
  std::vector<int32_t> order;
  for (size_t id = 0; id < logits.size(); ++id)
    if (logits[id] > -kInfinity) order.push_back(int32_t(id));
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[size_t(a)] != logits[size_t(b)] ? logits[size_t(a)] > logits[size_t(b)] : a < b;
  });
  auto weight = [&](int32_t id) {
    return std::exp((double(logits[size_t(id)]) - double(logits[size_t(order[0])])) / double(p.temperature));
  };
  if (p.top_k > 0 && size_t(p.top_k) < order.size()) {
    const float limit = logits[size_t(order[size_t(p.top_k) - 1])];
    std::erase_if(order, [&](int32_t id) { return logits[size_t(id)] < limit; });
  }
  std::erase_if(order, [&](int32_t id) { return weight(id) < double(p.min_p); });
  double total = 0, sum = 0;
  for (int32_t id : order) total += weight(id);
  size_t kept = 0;
  while (kept < order.size() && (kept == 0 || sum < double(p.top_p) * total)) sum += weight(order[kept++]);
  if (p.top_p < 1) order.resize(kept);
  total = 0;
  for (int32_t id : order) total += weight(id);
  std::vector<double> result(logits.size(), 0);
  for (int32_t id : order) result[size_t(id)] = weight(id) / total;
  return result;
}

// The id at which the running sum over ids passes the draw.
int32_t reference_draw(const Input &in) {
  const std::vector<double> probabilities = reference_probabilities(in);
  double left = uniform_draw(in.params.seed, in.generated.size());
  int32_t last = -1;
  for (size_t id = 0; id < probabilities.size(); ++id) {
    if (probabilities[id] == 0) continue;
    last = int32_t(id);
    left -= probabilities[id];
    if (left < 0) break;
  }
  return last;
}

Input random_input(std::mt19937 &random, size_t vocabulary) {
  Input in;
  std::normal_distribution<float> normal(0, 2);
  for (size_t i = 0; i < vocabulary; ++i) in.logits.push_back(std::round(normal(random) * 8) / 8); // ties are common
  auto ids = [&](size_t most) {
    std::vector<int32_t> list(random() % (most + 1));
    for (int32_t &id : list) id = int32_t(random() % vocabulary);
    return list;
  };
  in.prompt = ids(20);
  in.generated = ids(20);
  SamplingParams &p = in.params;
  p.seed = random();
  p.temperature = std::array<float, 4>{0.3f, 0.8f, 1.0f, 1.7f}[random() % 4];
  if (random() % 2) p.top_k = int32_t(random() % (vocabulary + 3));
  if (random() % 2) p.top_p = 0.05f + 0.9f * float(random() % 1000) / 1000;
  if (random() % 3 == 0) p.min_p = 0.3f * float(random() % 1000) / 1000;
  if (random() % 2) p.repetition_penalty = 0.7f + float(random() % 100) / 100;
  if (random() % 3 == 0) p.presence_penalty = 0.5f;
  if (random() % 3 == 0) p.frequency_penalty = -0.3f;
  for (int32_t id : ids(3)) p.logit_bias.emplace_back(id, 1.5f);
  if (random() % 3 == 0) in.banned = ids(vocabulary / 4);
  if (random() % 3 == 0) {
    in.mask.assign(vocabulary / 32 + 1, 0);
    for (uint32_t &word : in.mask) word = uint32_t(random());
    in.mask[0] |= 1;
    std::erase(in.banned, 0); // something stays allowed
  }
  return in;
}

TEST(Sampler, AgreesWithTheReferenceOnEveryOption) {
  std::mt19937 random(11);
  for (size_t vocabulary : {2, 5, 33, 400}) {
    Sampler sampler{int64_t(vocabulary)};
    for (int i = 0; i < 4000; ++i) {
      Input in = random_input(random, vocabulary);
      ASSERT_EQ(sample(sampler, in).id, reference_draw(in)) << "vocabulary " << vocabulary << " input " << i;
      in.params.temperature = 0;
      const std::vector<float> logits = reference_logits(in);
      ASSERT_EQ(sample(sampler, in).id, std::max_element(logits.begin(), logits.end()) - logits.begin());
    }
  }
}

TEST(Sampler, TopPSortsLargeFlatDistributions) {
  std::mt19937 random(5);
  Sampler sampler(50000);
  for (float top_p : {0.1f, 0.5f, 0.9f, 0.999f}) {
    Input in;
    std::normal_distribution<float> normal(0, 0.3f);
    for (int i = 0; i < 50000; ++i) in.logits.push_back(normal(random));
    in.params.top_p = top_p;
    for (in.params.seed = 0; in.params.seed < 5; ++in.params.seed)
      EXPECT_EQ(sample(sampler, in).id, reference_draw(in));
  }
}

// ---- single rules
// -----------------------------------------------------------------------------------------------------

TEST(Sampler, TemperatureZeroTakesTheLowestOfEqualIds) {
  Sampler sampler(5);
  Input in;
  in.logits = {1, 3, -2, 3, 3};
  in.params.temperature = 0;
  EXPECT_EQ(sample(sampler, in).id, 1);
  in.logits = {-0.0f, 0.0f, -1, -1, -1};
  EXPECT_EQ(sample(sampler, in).id, 0);
}

TEST(Sampler, BiasComesBeforeTheRepetitionPenalty) {
  Sampler sampler(2);
  Input in;
  in.params.temperature = 0;
  in.logits = {-1, 0.9f};
  in.prompt = {0};
  in.params.repetition_penalty = 2;
  in.params.logit_bias = {{0, 3}};
  // (-1 + 3) / 2 = 1 is more than 0.9; the other order gives -1 x 2 + 3 = 1 as well, so make them differ:
  EXPECT_EQ(sample(sampler, in).id, 0);
  in.params.logit_bias = {{0, 2.5f}}; // (1.5) / 2 = 0.75; the other order: 0.5
  in.logits[1] = 0.6f;
  EXPECT_EQ(sample(sampler, in).id, 0);
}

TEST(Sampler, PresenceAndFrequencyCountWhatWasGeneratedAlone) {
  Sampler sampler(3);
  Input in;
  in.params.temperature = 0;
  in.logits = {1.0f, 0.95f, 0.5f};
  in.prompt = {0, 0, 0};
  in.params.presence_penalty = 0.2f;
  in.params.frequency_penalty = 0.2f;
  EXPECT_EQ(sample(sampler, in).id, 0);
  in.generated = {0};
  EXPECT_EQ(sample(sampler, in).id, 1);
  in.generated = {0, 1, 1, 0};
  EXPECT_EQ(sample(sampler, in).id, 2);
}

TEST(Sampler, ManyRepetitionsCountOnce) {
  Sampler sampler(2);
  Input in;
  in.params.temperature = 0;
  in.logits = {4, 1.5f};
  in.prompt.assign(1000, 0);
  in.params.repetition_penalty = 2;
  EXPECT_EQ(sample(sampler, in).id, 0) << "4 / 2, not 4 / 2^1000";
  EXPECT_EQ(sample(sampler, in).id, 0) << "nothing is left over from the first call";
}

TEST(Sampler, TinyTemperaturesAreStable) {
  Sampler sampler(3);
  Input in;
  in.logits = {3e30f, -3e38f, 3.1e30f};
  for (float temperature : {1e-30f, 1e-6f, 1.0f}) {
    in.params.temperature = temperature;
    EXPECT_EQ(sample(sampler, in).id, 2);
  }
  in.params.temperature = 3e38f; // flat
  std::map<int32_t, int> seen;
  for (in.params.seed = 0; in.params.seed < 100; ++in.params.seed) ++seen[sample(sampler, in).id];
  EXPECT_EQ(seen.size(), 3u);
}

TEST(Sampler, GreedyTakesTheLowestIdOfTheLargestWherever) {
  for (int64_t vocabulary : {1, 15, 16, 17, 1024, 1025, 5003}) {
    Sampler sampler(vocabulary);
    Input in;
    in.params.temperature = 0;
    for (int64_t best = 0; best < vocabulary; best += std::max<int64_t>(1, vocabulary / 37)) {
      in.logits.assign(size_t(vocabulary), -3.5f);
      in.logits.back() = -kInfinity;
      in.logits[size_t(best)] = -0.0f;
      if (best + 7 < vocabulary) in.logits[size_t(best + 7)] = 0.0f; // the same number
      EXPECT_EQ(sample(sampler, in).id, best) << vocabulary;
    }
  }
}

TEST(Sampler, ErrorsForWhatIsNotANumberAndForNothingLeft) {
  Sampler sampler(3);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
    for (float temperature : {0.0f, 1.0f}) {
      Input in;
      in.logits = {0, bad, 1};
      in.params.temperature = temperature;
      NewToken token;
      EXPECT_EQ(sampler.sample(in.view(), &token).code(), StatusCode::kInternal);
    }
  }
  for (float temperature : {0.0f, 1.0f}) {
    Input in;
    in.logits = {0, 1, 2};
    in.params.temperature = temperature;
    in.banned = {0, 1, 2};
    NewToken token;
    EXPECT_EQ(sampler.sample(in.view(), &token).code(), StatusCode::kInvalidArgument);
    in.banned.clear();
    in.logits.assign(3, -kInfinity);
    EXPECT_EQ(sampler.sample(in.view(), &token).code(), StatusCode::kInternal);
  }
}

TEST(Sampler, LogprobsAreOfTheModelsOwnLogits) {
  Sampler sampler(4);
  Input in;
  in.logits = {1, 2, 2, -1};
  in.params.temperature = 0;
  in.params.logprobs = 3;
  in.params.logit_bias = {{3, 100}};
  const NewToken token = sample(sampler, in);
  EXPECT_EQ(token.id, 3);
  const double normalizer = std::log(std::exp(1.0) + 2 * std::exp(2.0) + std::exp(-1.0));
  EXPECT_NEAR(token.logprob, -1 - normalizer, 1e-6);
  ASSERT_EQ(token.top.size(), 3u);
  EXPECT_EQ(token.top[0].id, 1);
  EXPECT_EQ(token.top[1].id, 2);
  EXPECT_EQ(token.top[2].id, 0);
  EXPECT_NEAR(token.top[2].logprob, 1 - normalizer, 1e-6);
  in.params.logprobs = 0;
  EXPECT_TRUE(sample(sampler, in).top.empty());
  in.params.logprobs = 4;
  EXPECT_EQ(sample(sampler, in).top.size(), 4u);
}

TEST(Sampler, ASeedReproducesAndAnotherDoesNot) {
  std::mt19937 random(1);
  Input in = random_input(random, 400);
  in.params = {};
  Sampler a(400), b(400);
  auto draws = [&](Sampler &sampler, uint64_t seed) {
    std::vector<int32_t> ids;
    in.params.seed = seed;
    in.generated.clear();
    for (int i = 0; i < 50; ++i) in.generated.push_back(sample(sampler, in).id);
    return in.generated;
  };
  const std::vector<int32_t> first = draws(a, 7);
  EXPECT_EQ(draws(b, 7), first);
  EXPECT_EQ(draws(a, 7), first);
  EXPECT_NE(draws(a, 8), first);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  Sampler sampler(6);
  Input in;
  in.logits = {0, 1, -1, 2, 0.5f, -3};
  in.params.temperature = 1.3f;
  in.params.seed = 20240601;
  const std::vector<double> expected = reference_probabilities(in);
  constexpr int kDraws = 60000;
  std::vector<int> counts(6, 0);
  for (int i = 0; i < kDraws; ++i) {
    SamplerInput input = in.view();
    input.index = uint64_t(i);
    NewToken token;
    ASSERT_TRUE(sampler.sample(input, &token).ok());
    ++counts[size_t(token.id)];
  }
  double chi_square = 0;
  for (size_t id = 0; id < 6; ++id) {
    const double mean = expected[id] * kDraws;
    chi_square += (counts[id] - mean) * (counts[id] - mean) / mean;
  }
  EXPECT_LT(chi_square, 20.5) << "the 99.9th percentile with 5 degrees of freedom; the seed is fixed";
}

TEST(Sampler, CheckNamesTheField) {
  auto message = [](auto change) {
    SamplingParams params;
    change(params);
    return check_sampling(params, 10).message();
  };
  EXPECT_EQ(message([](SamplingParams &) {}), "");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message([](SamplingParams &p) { p.temperature = -1; }), HasSubstr("temperature"));
  EXPECT_THAT(message([&](SamplingParams &p) { p.temperature = nan; }), HasSubstr("temperature"));
  EXPECT_THAT(message([](SamplingParams &p) { p.temperature = kInfinity; }), HasSubstr("temperature"));
  EXPECT_THAT(message([](SamplingParams &p) { p.top_p = 1.5f; }), HasSubstr("top_p"));
  EXPECT_THAT(message([](SamplingParams &p) { p.top_k = -2; }), HasSubstr("top_k"));
  EXPECT_THAT(message([](SamplingParams &p) { p.min_p = -0.1f; }), HasSubstr("min_p"));
  EXPECT_THAT(message([](SamplingParams &p) { p.repetition_penalty = 0; }), HasSubstr("repetition_penalty"));
  EXPECT_THAT(message([](SamplingParams &p) { p.presence_penalty = 3; }), HasSubstr("presence_penalty"));
  EXPECT_THAT(message([&](SamplingParams &p) { p.frequency_penalty = nan; }), HasSubstr("frequency_penalty"));
  EXPECT_THAT(message([](SamplingParams &p) { p.logprobs = 11; }), HasSubstr("logprobs"));
  EXPECT_THAT(message([](SamplingParams &p) { p.logit_bias = {{10, 1}}; }), HasSubstr("logit_bias"));
  EXPECT_THAT(message([](SamplingParams &p) { p.logit_bias = {{1, kInfinity}}; }), HasSubstr("logit_bias"));
}

} // namespace
} // namespace llmrt
