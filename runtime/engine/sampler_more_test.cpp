// DRY, typical_p, XTC and mirostat against plain references: maps, sorting, libm.
#include "runtime/engine/philox.h"
#include "runtime/engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

namespace llmrt {
namespace {

struct Case {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<int32_t> text; // half of it is the prompt
  double mu = -1;

  NewToken sample(Sampler &sampler, double *mirostat_mu = nullptr) const {
    SamplerInput input;
    input.logits = logits;
    input.params = &params;
    input.prompt = std::span(text).first(text.size() / 2);
    input.generated = std::span(text).subspan(text.size() / 2);
    input.index = input.generated.size();
    input.mirostat_mu = mirostat_mu;
    NewToken token;
    const Status status = sampler.sample(input, &token);
    EXPECT_TRUE(status.ok()) << status.message();
    return token;
  }
  uint64_t index() const { return text.size() - text.size() / 2; }
};

Case random_case(std::mt19937 &random, size_t vocabulary, size_t ids = 0) {
  Case c;
  std::normal_distribution<float> normal(0, 2);
  for (size_t i = 0; i < vocabulary; ++i) c.logits.push_back(std::round(normal(random) * 8) / 8);
  for (size_t i = random() % 60; i-- > 0;) c.text.push_back(int32_t(random() % (ids ? ids : vocabulary)));
  c.params.seed = random();
  c.params.temperature = random() % 2 ? 1.0f : 0.7f;
  return c;
}

struct Choice {
  int32_t id;
  double p;
};

std::vector<Choice> softmax(const std::vector<float> &logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<Choice> out;
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    out.push_back({int32_t(i), std::exp((double(logits[i]) - largest) / temperature)});
    total += out.back().p;
  }
  for (Choice &one : out) one.p /= total;
  return out;
}

int32_t draw(std::vector<Choice> choices, uint64_t seed, uint64_t index) {
  std::sort(choices.begin(), choices.end(), [](auto &a, auto &b) { return a.id < b.id; });
  double total = 0;
  for (const Choice &one : choices) total += one.p;
  double left = uniform_draw(seed, index) * total;
  for (const Choice &one : choices)
    if ((left -= one.p) < 0) return one.id;
  return choices.back().id;
}

// The original of its author, in the words of its Python.
std::map<int32_t, double> dry_reference(const Case &c) {
  const SamplingParams &p = c.params;
  std::vector<int32_t> ids = c.text;
  if (p.dry_penalty_last_n >= 0 && ids.size() > size_t(p.dry_penalty_last_n))
    ids.erase(ids.begin(), ids.end() - p.dry_penalty_last_n);
  auto breaker = [&](int32_t id) { return std::count(p.dry_breakers.begin(), p.dry_breakers.end(), id) > 0; };
  std::map<int32_t, int> lengths;
  const int n = int(ids.size());
  if (n < 2 || breaker(ids.back())) return {};
  for (int i = 0; i < n - 1; ++i) {
    if (ids[size_t(i)] != ids.back() || breaker(ids[size_t(i + 1)])) continue;
    int length = 1;
    for (; i - length >= 0 && ids[size_t(i - length)] == ids[size_t(n - 1 - length)]; ++length)
      if (breaker(ids[size_t(i - length)])) break;
    lengths[ids[size_t(i + 1)]] = std::max(lengths[ids[size_t(i + 1)]], length);
  }
  std::map<int32_t, double> out;
  for (auto [id, length] : lengths)
    if (length >= p.dry_allowed_length)
      out[id] = double(p.dry_multiplier) * std::pow(double(p.dry_base), length - p.dry_allowed_length);
  return out;
}

TEST(Dry, AgreesWithTheOriginal) {
  std::mt19937 random(3);
  Sampler sampler(30);
  int punished = 0;
  for (int i = 0; i < 3000; ++i) {
    Case c = random_case(random, 30, 3);
    c.params.temperature = 0;
    c.params.dry_multiplier = 0.8f;
    c.params.dry_allowed_length = int32_t(random() % 4);
    if (random() % 3 == 0) c.params.dry_penalty_last_n = int32_t(random() % 20);
    if (random() % 2) c.params.dry_breakers = {int32_t(random() % 3)};
    const auto penalties = dry_reference(c);
    punished += !penalties.empty();
    std::vector<float> logits = c.logits;
    for (auto [id, penalty] : penalties) logits[size_t(id)] -= float(penalty);
    ASSERT_EQ(c.sample(sampler).id, std::max_element(logits.begin(), logits.end()) - logits.begin()) << i;
  }
  EXPECT_GT(punished, 1000);
}

TEST(Dry, ALongRepeatTakesLinearTime) {
  Sampler sampler(5);
  Case c;
  c.logits = {3, 2, 1, 0, 0};
  c.text.assign(200000, 0);
  c.params.temperature = 0;
  c.params.dry_multiplier = 0.5f;
  EXPECT_EQ(c.sample(sampler).id, 1);
}

TEST(Typical, AgreesWithTransformers) {
  std::mt19937 random(4);
  for (size_t vocabulary : {2, 7, 200}) {
    Sampler sampler{int64_t(vocabulary)};
    for (int i = 0; i < 2000; ++i) {
      Case c = random_case(random, vocabulary);
      c.params.typical_p = 0.05f + 0.9f * float(random() % 100) / 100;
      std::vector<Choice> all = softmax(c.logits, double(c.params.temperature));
      double entropy = 0;
      for (const Choice &one : all) entropy -= one.p * std::log(one.p);
      auto far = [&](const Choice &one) { return float(std::fabs(-std::log(one.p) - entropy)); };
      std::sort(all.begin(), all.end(),
                [&](const Choice &a, const Choice &b) { return std::pair(far(a), a.id) < std::pair(far(b), b.id); });
      double sum = 0;
      size_t kept = 0;
      while (kept < all.size() && (kept == 0 || sum < double(c.params.typical_p))) sum += all[kept++].p;
      all.resize(kept);
      ASSERT_EQ(c.sample(sampler).id, draw(all, c.params.seed, c.index())) << vocabulary << " " << i;
    }
  }
}

// The likeliest token is not typical here: min_p is of the others, which are all as likely as each other.
TEST(Typical, MinPIsOfWhatIsLeft) {
  Case c;
  c.logits.assign(51, 0);
  c.logits[0] = std::log(20.0f);
  c.text = {1, 2};
  c.params.temperature = 1;
  c.params.typical_p = 0.3f;
  c.params.min_p = 0.5f;
  Sampler sampler(51);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    c.params.seed = seed;
    const int32_t id = c.sample(sampler).id;
    EXPECT_TRUE(id >= 1 && id <= 50) << id;
  }
}

TEST(Xtc, AgreesWithTheOriginal) {
  std::mt19937 random(5);
  Sampler sampler(40);
  int excluded = 0;
  for (int i = 0; i < 3000; ++i) {
    Case c = random_case(random, 40);
    c.params.xtc_probability = 0.5f;
    c.params.xtc_threshold = float(random() % 20) / 100;
    std::vector<Choice> all = softmax(c.logits, double(c.params.temperature));
    std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a.p != b.p ? a.p > b.p : a.id < b.id; });
    size_t above = 0;
    while (above < all.size() && all[above].p >= double(c.params.xtc_threshold)) ++above;
    const bool now = uniform_draw(c.params.seed, c.index(), 0, 1) < 0.5;
    if (now && above >= 2) all.erase(all.begin(), all.begin() + ptrdiff_t(above) - 1);
    excluded += now && above >= 2;
    ASSERT_EQ(c.sample(sampler).id, draw(all, c.params.seed, c.index())) << i;
  }
  EXPECT_GT(excluded, 500);
}

// llama.cpp's, version 1 and 2.
int32_t mirostat_reference(const Case &c, double *mu) {
  const SamplingParams &p = c.params;
  std::vector<Choice> all = softmax(c.logits, double(p.temperature));
  std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a.p != b.p ? a.p > b.p : a.id < b.id; });
  if (*mu < 0) *mu = 2 * double(p.mirostat_tau);
  if (p.mirostat == 2) {
    size_t kept = 1;
    while (kept < all.size() && -std::log2(all[kept].p) <= *mu) ++kept;
    all.resize(kept);
  } else {
    double products = 0, squares = 0;
    for (size_t i = 0; i + 1 < std::min<size_t>(100, all.size()); ++i) {
      const double t = std::log(double(i + 2) / double(i + 1)), b = std::log(all[i].p / all[i + 1].p);
      products += t * b;
      squares += t * t;
    }
    const double s = products / squares, epsilon = s - 1;
    const double k = std::pow(epsilon * std::pow(2, *mu) / (1 - std::pow(double(c.logits.size()), -epsilon)), 1 / s);
    all.resize(size_t(std::clamp(std::floor(k), 1.0, double(all.size()))));
  }
  const int32_t id = draw(all, p.seed, c.index());
  double total = 0, taken = 0;
  for (const Choice &one : all) {
    total += one.p;
    if (one.id == id) taken = one.p;
  }
  *mu -= double(p.mirostat_eta) * (-std::log2(taken / total) - double(p.mirostat_tau));
  *mu = std::max(*mu, 0.0);
  return id;
}

TEST(Mirostat, AgreesWithLlamaCpp) {
  std::mt19937 random(6);
  Sampler sampler(300);
  for (int version : {1, 2})
    for (int sequence = 0; sequence < 20; ++sequence) {
      double mu = -1, expected_mu = -1;
      for (int i = 0; i < 60; ++i) {
        Case c = random_case(random, 300);
        c.params.mirostat = version;
        c.params.mirostat_tau = 3;
        c.params.mirostat_eta = 0.2f;
        const int32_t expected = mirostat_reference(c, &expected_mu);
        ASSERT_EQ(c.sample(sampler, &mu).id, expected) << version << " " << i;
        ASSERT_NEAR(mu, expected_mu, 1e-9);
      }
      EXPECT_NE(mu, 6) << "it moves";
    }
}

TEST(SamplerMore, OutOfRangeNamesTheField) {
  auto message = [](auto set) {
    SamplingParams p;
    set(p);
    return check_sampling(p, 10).message();
  };
  EXPECT_NE(message([](auto &p) { p.typical_p = 0; }).find("typical_p"), std::string::npos);
  EXPECT_NE(message([](auto &p) { p.dry_base = 0.5f; }).find("dry_base"), std::string::npos);
  EXPECT_NE(message([](auto &p) { p.dry_multiplier = -1; }).find("dry_multiplier"), std::string::npos);
  EXPECT_NE(message([](auto &p) { p.xtc_probability = 2; }).find("xtc_probability"), std::string::npos);
  EXPECT_NE(message([](auto &p) { p.mirostat = 3; }).find("mirostat"), std::string::npos);
  EXPECT_EQ(message([](auto &) {}), "");
}

} // namespace
} // namespace llmrt
