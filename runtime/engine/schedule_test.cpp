// Whatever the schedule, a request gives what it gives alone: batches, chunks, preemption, the prefix cache, windows,
// cancellations and priorities at random.
#include "runtime/engine/engine_testing.h"
#include "runtime/kv/kv_cache.h"

#include <random>

namespace llmrt {
namespace {

constexpr int64_t kMaxModelLen = 64;

struct Case {
  RequestSpec spec;
  bool prompt_logits = false;
  bool cancel = false;
  int submit_at = 0; // step
  RequestId id = 0;
  Outcome outcome;
};

FakeModel random_model(std::mt19937 &random) {
  static const std::vector<std::vector<FakeModel::Group>> kGroups = {{{0}}, {{0}, {9}}, {{7}}, {{13}, {0}, {1}},
                                                                     {{2}}, {{30}, {5}}};
  FakeModel model;
  model.groups = kGroups[random() % kGroups.size()];
  model.uses_rope_length = random() % 4 == 0;
  model.vocabulary = 20;
  return model;
}

EngineOptions random_options(std::mt19937 &random, const FakeModel &model) {
  EngineOptions options;
  options.max_model_len = kMaxModelLen;
  options.max_num_seqs = 1 + int64_t(random() % 9);
  options.max_num_batched_tokens = std::array<int64_t, 4>{1, 7, 20, 200}[random() % 4];
  options.chunk_tokens = std::array<int64_t, 4>{1, 7, 64, 0}[random() % 4];
  options.max_rows = std::array<int64_t, 3>{0, 3, 64}[random() % 3];
  // From the fewest pages with which every request can run alone to enough for a few.
  int64_t least = 0;
  for (const FakeModel::Group &group : model.groups)
    least = std::max(least, pages_needed(group.window, model.page_tokens, kMaxModelLen, 1));
  options.kv_pages = least + int64_t(random() % 2) * int64_t(random() % uint64_t(2 * least));
  options.prefix_caching = random() % 3 != 0;
  options.policy = random() % 2 ? SchedulingPolicy::kFcfs : SchedulingPolicy::kPriority;
  options.admission = random() % 4 == 0 ? Admission::kPredicted : Admission::kOptimistic;
  return options;
}

Case random_case(std::mt19937 &random) {
  Case c;
  const int32_t family = int32_t(random() % 3); // so that beginnings are shared
  const size_t length = 1 + random() % 50;
  for (size_t i = 0; i < length; ++i) c.spec.prompt.push_back(int32_t((i * 7 + size_t(family)) % 20));
  if (random() % 2) c.spec.prompt.back() = int32_t(random() % 20);
  if (random() % 3 == 0) c.spec.prompt[random() % length] = int32_t(random() % 20);
  c.prompt_logits = random() % 4 == 0;
  c.spec.max_tokens = int32_t(random() % 40);
  c.spec.min_tokens = c.spec.max_tokens ? int32_t(random() % uint32_t(c.spec.max_tokens)) / 2 : 0;
  c.spec.ignore_eos = random() % 2;
  c.spec.priority = int32_t(random() % 3);
  c.spec.cache_salt = random() % 5 == 0 ? "other" : "";
  if (random() % 3 == 0) c.spec.stop_ids = {int32_t(random() % 20)};
  SamplingParams &sampling = c.spec.sampling;
  sampling.temperature = random() % 2 ? 0.0f : 0.9f;
  sampling.seed = random();
  sampling.logprobs = random() % 2 ? 2 : -1;
  if (random() % 3 == 0) sampling.repetition_penalty = 1.2f;
  if (random() % 3 == 0) sampling.top_k = 5;
  if (random() % 3 == 0) sampling.top_p = 0.8f;
  if (random() % 4 == 0) sampling.frequency_penalty = 0.4f;
  c.cancel = random() % 6 == 0;
  c.submit_at = int(random() % 25);
  return c;
}

void expect_as_alone(const Case &c, const FakeModel &model) {
  const Outcome alone = run_alone(model, c.spec, c.prompt_logits, kMaxModelLen);
  const Outcome &got = c.outcome;
  EXPECT_EQ(got.events_after_end, 0);
  if (got.finish == FinishReason::kCancelled) {
    EXPECT_TRUE(c.cancel);
    ASSERT_LE(got.ids.size(), alone.ids.size());
    EXPECT_TRUE(std::equal(got.ids.begin(), got.ids.end(), alone.ids.begin()));
    return;
  }
  EXPECT_EQ(got.finish, alone.finish);
  EXPECT_EQ(got.ids, alone.ids);
  EXPECT_EQ(got.logprobs, alone.logprobs);
  for (size_t position = 0; position < got.prompt_rows.size(); ++position) {
    const bool expected = c.prompt_logits && int64_t(position) >= got.cached_tokens;
    ASSERT_EQ(!got.prompt_rows[position].empty(), expected) << "prompt row " << position;
    if (!expected) continue;
    ASSERT_EQ(got.prompt_rows[position], alone.prompt_rows[position]) << "prompt row " << position;
  }
}

struct Totals {
  uint64_t preemptions = 0, hits = 0, cancelled = 0;
};

void run_schedule(unsigned seed, Totals *totals) {
  std::mt19937 random(seed);
  const FakeModel model = random_model(random);
  const EngineOptions options = random_options(random, model);
  FakeEngine engine(model, options);
  std::vector<Case> cases(14);
  for (Case &c : cases) {
    c = random_case(random);
    if (int64_t(c.spec.prompt.size()) + (c.spec.max_tokens > 0) > kMaxModelLen) c.spec.prompt.resize(20);
  }
  for (int step = 0; step < 20000; ++step) {
    for (Case &c : cases) {
      if (c.submit_at == step) c.id = engine.submit(watched(c.spec, &c.outcome, c.prompt_logits, model.vocabulary));
      if (c.cancel && c.id && random() % 30 == 0) engine->cancel(c.id);
    }
    const bool busy = engine.step();
    if (step % 4 == 0) engine.expect_sound();
    if (!busy && step > 60) break;
  }
  engine.finish(1);
  EXPECT_LE(engine.device->largest_step(), options.max_num_batched_tokens);
  const bool may_preempt = options.admission == Admission::kOptimistic;
  EXPECT_TRUE(may_preempt || engine->stats().preemptions == 0);
  for (const Case &c : cases) {
    expect_as_alone(c, model);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << " request " << &c - cases.data();
  }
  totals->preemptions += engine->stats().preemptions;
  totals->hits += engine->stats().prefix_hits;
  totals->cancelled += engine->stats().finished_cancelled;
}

TEST(Schedules, ARequestGivesWhatItGivesAlone) {
  Totals totals;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    run_schedule(seed, &totals);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(totals.preemptions, 100u) << "the test is worth something only if these happen";
  EXPECT_GT(totals.hits, 1000u);
  EXPECT_GT(totals.cancelled, 50u);
}

} // namespace
} // namespace llmrt
