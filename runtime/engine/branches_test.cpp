// Several answers to one prompt: that they share pages, and that each is what it would be alone.
#include "runtime/engine/engine_testing.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace llmrt {
namespace {

using testing::HasSubstr;

RequestSpec prompt_of(int64_t count, int32_t max_tokens) {
  RequestSpec spec;
  for (int64_t i = 0; i < count; ++i) spec.prompt.push_back(int32_t(1 + i % 40));
  spec.max_tokens = max_tokens;
  spec.ignore_eos = true;
  spec.sampling.seed = 7;
  return spec;
}

struct Branches {
  std::map<int32_t, Outcome> outcomes;
  std::vector<NewToken> prompt;
  std::vector<RequestId> ids;
};

RequestSpec watched_branches(RequestSpec spec, Branches *to) {
  to->ids.resize(size_t(spec.branches));
  spec.on_event = [to](Event &&event) {
    for (NewToken &token : event.prompt) to->prompt.push_back(std::move(token));
    Outcome &outcome = to->outcomes[event.branch];
    to->ids[size_t(event.branch)] = event.id;
    outcome.events_after_end += outcome.finish != FinishReason::kNone;
    for (const NewToken &token : event.tokens) {
      outcome.ids.push_back(token.id);
      outcome.logprobs.push_back(token.logprob);
    }
    if (event.finish != FinishReason::kNone) outcome.finish = event.finish;
  };
  return spec;
}

// Branch k of a request draws as the only answer of a request whose generator is told that it is branch k; the fake
// model has no such option, so the branches are held against one another and against runs of their own.
TEST(Branches, ShareThePromptsPagesUntilTheyWrite) {
  FakeModel model; // pages of 4 tokens
  EngineOptions options;
  options.kv_pages = 60;
  options.prefix_caching = false;
  FakeEngine engine(model, options);
  Branches four;
  RequestSpec spec = prompt_of(42, 8);
  spec.branches = 4;
  const RequestId first = engine.submit(watched_branches(spec, &four));
  ASSERT_TRUE(engine.step()); // the prompt, and the first token of each
  EXPECT_EQ(engine->stats().pages_used, 11) << "42 tokens in pages of 4, once";
  EXPECT_EQ(engine->stats().running, 4);
  ASSERT_TRUE(engine.step()); // each writes token 43 into the last page of the prompt
  EXPECT_EQ(engine->stats().pages_used, 11 + 3) << "three copies of the page that was partly filled";
  EXPECT_EQ(engine.device->copies(), 3);
  engine.step();
  engine.step();
  EXPECT_EQ(engine->stats().pages_used, 10 + 4 * 2) << "ten full pages of the prompt are still shared";
  engine.finish();
  EXPECT_EQ(engine.device->tokens_run(), 42 + 4 * 7) << "the prompt is computed once";
  EXPECT_EQ(engine->stats().prompt_tokens, 42u);
  ASSERT_EQ(four.outcomes.size(), 4u);
  for (int32_t k = 0; k < 4; ++k) {
    EXPECT_EQ(four.outcomes[k].ids.size(), 8u);
    EXPECT_EQ(four.outcomes[k].finish, FinishReason::kLength);
    EXPECT_EQ(four.ids[size_t(k)], first + uint64_t(k));
  }
  EXPECT_NE(four.outcomes[0].ids, four.outcomes[1].ids);
  // The first is what it is alone, and a whole prompt leaves nothing to copy.
  EXPECT_EQ(four.outcomes[0].ids, run_alone(model, prompt_of(42, 8), false, 128).ids);
}

TEST(Branches, AreTheSameWithoutSlotsForAllAndUnderPreemption) {
  FakeModel model;
  model.groups = {{0}, {9}};
  std::vector<Branches> runs(3);
  for (size_t run = 0; run < runs.size(); ++run) {
    EngineOptions options;
    options.max_num_seqs = run == 1 ? 2 : 8;
    options.kv_pages = run == 2 ? 34 : 400;
    FakeEngine engine(model, options);
    RequestSpec spec = prompt_of(37, 30);
    spec.branches = 6;
    engine.submit(watched_branches(spec, &runs[run]));
    engine.finish();
    EXPECT_EQ(engine->stats().preemptions > 0, run == 2);
    EXPECT_EQ(engine->stats().waiting, 0);
  }
  for (int32_t k = 0; k < 6; ++k) {
    EXPECT_EQ(runs[0].outcomes[k].ids.size(), 30u);
    EXPECT_EQ(runs[0].outcomes[k].ids, runs[1].outcomes[k].ids);
    EXPECT_EQ(runs[0].outcomes[k].ids, runs[2].outcomes[k].ids);
  }
}

TEST(Branches, PredictedAdmissionCountsThem) {
  EngineOptions options;
  options.kv_pages = 40;
  options.max_model_len = 64;
  options.admission = Admission::kPredicted;
  FakeEngine engine({}, options);
  std::vector<Branches> runs(4);
  for (Branches &run : runs) {
    RequestSpec spec = prompt_of(20, 20);
    spec.branches = 3;
    engine.submit(watched_branches(spec, &run));
  }
  engine.finish();
  EXPECT_EQ(engine->stats().preemptions, 0u);
  for (Branches &run : runs) EXPECT_EQ(run.outcomes.size(), 3u);
}

TEST(Branches, AreCancelledOneByOneAtAnyTime) {
  for (int before = 0; before < 4; ++before)
    for (uint64_t which = 0; which < 3; ++which) {
      EngineOptions options;
      options.max_num_batched_tokens = 16; // a prompt takes three steps
      FakeEngine engine({}, options);
      Branches run;
      RequestSpec spec = prompt_of(40, 5);
      spec.branches = 3;
      const RequestId first = engine.submit(watched_branches(spec, &run));
      for (int i = 0; i < before; ++i) engine.step();
      engine->cancel(first + which);
      engine.finish();
      ASSERT_EQ(run.outcomes.size(), 3u);
      for (uint64_t k = 0; k < 3; ++k) {
        EXPECT_EQ(run.outcomes[int32_t(k)].finish, k == which ? FinishReason::kCancelled : FinishReason::kLength);
        EXPECT_EQ(run.outcomes[int32_t(k)].events_after_end, 0);
      }
      EXPECT_EQ(engine->stats().waiting, 0);
    }
}

TEST(Branches, CountAgainstTheQueue) {
  EngineOptions options;
  options.max_queue = 3;
  FakeEngine engine({}, options);
  RequestSpec spec = prompt_of(4, 2);
  spec.branches = 4;
  EXPECT_EQ(engine->submit(spec).status().code(), StatusCode::kExhausted);
  spec.branches = 3;
  EXPECT_TRUE(engine->submit(spec).ok());
  EXPECT_EQ(engine->stats().waiting, 3);
}

// ---- beams

struct Hypothesis {
  std::vector<int32_t> ids;
  double sum = 0, score = 0;
};

std::vector<float> log_softmax(const std::vector<float> &row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (float x : row) total += std::exp(double(x) - largest);
  std::vector<float> out;
  for (float x : row) out.push_back(float(double(x) - largest - std::log(total)));
  return out;
}

// The plain way: every beam is a prompt that is run anew for one token.
std::vector<Hypothesis> reference(const FakeModel &model, const std::vector<int32_t> &prompt, int width, int max_tokens,
                                  double penalty) {
  std::vector<Hypothesis> beams(1), done;
  for (int step = 0; step < max_tokens; ++step) {
    std::vector<Hypothesis> next;
    for (const Hypothesis &beam : beams) {
      RequestSpec spec;
      spec.prompt = prompt;
      spec.prompt.insert(spec.prompt.end(), beam.ids.begin(), beam.ids.end());
      spec.max_tokens = 0;
      const std::vector<float> row = log_softmax(run_alone(model, spec, true, 128).prompt_rows.back());
      std::vector<int32_t> order(row.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
      std::sort(order.begin(), order.end(), [&](int a, int b) {
        return row[size_t(a)] != row[size_t(b)] ? row[size_t(a)] > row[size_t(b)] : a < b;
      });
      for (int rank = 0; rank < 2 * width; ++rank) {
        Hypothesis one = beam;
        one.ids.push_back(order[size_t(rank)]);
        one.sum += double(row[size_t(order[size_t(rank)])]);
        const bool ended = one.ids.back() == model.end_ids[0];
        one.score = one.sum / std::pow(double(prompt.size() + one.ids.size() - ended), penalty);
        (ended ? done : next).push_back(std::move(one));
      }
    }
    std::sort(next.begin(), next.end(), [](const auto &a, const auto &b) { return a.sum > b.sum; });
    next.resize(size_t(width));
    beams = std::move(next);
  }
  done.insert(done.end(), beams.begin(), beams.end());
  std::sort(done.begin(), done.end(), [](const auto &a, const auto &b) { return a.score > b.score; });
  done.resize(size_t(width));
  return done;
}

void expect_search(const FakeModel &model, const EngineOptions &options, RequestSpec spec) {
  FakeEngine engine(model, options);
  Branches run, other;
  spec.ignore_eos = false;
  RequestSpec beside = prompt_of(11, 20);
  const auto expected = reference(model, spec.prompt, spec.beams.width, spec.max_tokens, spec.beams.length_penalty);
  engine.submit(watched_branches(spec, &run));
  engine.submit(watched_branches(spec, &other)); // two searches that want the same pages
  engine.submit(watched_branches(beside, &other));
  engine.finish();
  ASSERT_EQ(run.outcomes.size(), size_t(spec.branches));
  for (int32_t k = 0; k < spec.branches; ++k) {
    EXPECT_EQ(run.outcomes[k].ids, expected[size_t(k)].ids) << "beam " << k;
    double sum = 0;
    for (float logprob : run.outcomes[k].logprobs) sum += double(logprob);
    EXPECT_NEAR(sum, expected[size_t(k)].sum, 1e-4);
    const bool ended = expected[size_t(k)].ids.back() == model.end_ids[0];
    EXPECT_EQ(run.outcomes[k].finish, ended ? FinishReason::kStop : FinishReason::kLength);
    EXPECT_EQ(run.outcomes[k].events_after_end, 0);
  }
}

TEST(Beams, AgreeWithThePlainWay) {
  FakeModel model;
  model.groups = {{0}, {9}};
  for (int width : {1, 2, 4})
    for (float penalty : {1.0f, 0.0f, 2.0f}) {
      RequestSpec spec = prompt_of(10, 9);
      spec.beams = {width, penalty};
      spec.branches = width;
      expect_search(model, {}, spec);
    }
}

TEST(Beams, AgreeUnderPreemption) {
  FakeModel model;
  EngineOptions options;
  options.prefix_caching = false;
  options.kv_pages = 4 * (5 + 1) + 1; // one search and nothing beside it
  RequestSpec spec = prompt_of(10, 9);
  spec.beams = {4, 1};
  spec.branches = 2;
  expect_search(model, options, spec);
}

TEST(Beams, ShareThePromptsPages) {
  EngineOptions options;
  options.kv_pages = 60;
  options.prefix_caching = false;
  FakeEngine engine({}, options);
  Branches run;
  RequestSpec spec = prompt_of(40, 3);
  spec.beams = {4, 1};
  spec.branches = 4;
  engine.submit(watched_branches(spec, &run));
  engine.step();
  EXPECT_EQ(engine->stats().pages_used, 10);
  engine.step();
  EXPECT_GE(engine->stats().pages_used, 11);
  EXPECT_LE(engine->stats().pages_used, 10 + 4);
  engine.finish();
  EXPECT_EQ(engine.device->tokens_run(), 40 + 4 * 2);
}

TEST(Beams, EndTogether) {
  for (int before : {0, 1, 2, 4}) {
    FakeEngine engine({}, {});
    Branches run;
    RequestSpec spec = prompt_of(10, 20);
    spec.beams = {3, 1};
    spec.branches = 2;
    const RequestId id = engine.submit(watched_branches(spec, &run));
    for (int i = 0; i < before; ++i) engine.step();
    engine->cancel(id);
    engine.finish();
    ASSERT_EQ(run.outcomes.size(), 2u);
    for (auto &[branch, outcome] : run.outcomes) EXPECT_EQ(outcome.finish, FinishReason::kCancelled);
  }
  FakeEngine engine({}, {});
  engine.device->nan_at_step = 2;
  Branches run;
  RequestSpec spec = prompt_of(10, 20);
  spec.beams = {3, 1};
  engine.submit(watched_branches(spec, &run));
  engine.finish();
  EXPECT_EQ(run.outcomes[0].finish, FinishReason::kError);
}

TEST(Beams, RefuseWhatCannotWork) {
  EngineOptions options;
  options.max_num_seqs = 2;
  FakeEngine engine({}, options);
  RequestSpec spec = prompt_of(4, 4);
  spec.beams.width = 3;
  EXPECT_THAT(engine->submit(spec).status().message(), HasSubstr("--max-num-seqs"));
  spec.beams.width = 2;
  spec.branches = 3;
  EXPECT_THAT(engine->submit(spec).status().message(), HasSubstr("cannot give 3"));
  spec.branches = 0;
  EXPECT_FALSE(engine->submit(spec).ok());
}

TEST(PromptLogprobs, ComeForEveryTokenButTheFirstWhateverIsCached) {
  FakeModel model;
  EngineOptions options;
  options.max_rows = 5;
  FakeEngine engine(model, options);
  RequestSpec spec = prompt_of(30, 2);
  const Outcome alone = run_alone(model, spec, true, 128);
  spec.prompt_logprobs = 2;
  for (int again = 0; again < 2; ++again) {
    Branches run;
    engine.submit(watched_branches(spec, &run));
    engine.finish();
    ASSERT_EQ(run.prompt.size(), 29u);
    for (size_t i = 0; i < run.prompt.size(); ++i) {
      const std::vector<float> row = log_softmax(alone.prompt_rows[i]);
      EXPECT_EQ(run.prompt[i].id, spec.prompt[i + 1]);
      EXPECT_NEAR(run.prompt[i].logprob, row[size_t(spec.prompt[i + 1])], 1e-5);
      ASSERT_EQ(run.prompt[i].top.size(), 2u);
      EXPECT_NEAR(run.prompt[i].top[0].logprob, *std::max_element(row.begin(), row.end()), 1e-5);
    }
    EXPECT_EQ(run.outcomes[0].ids, alone.ids);
  }
}

} // namespace
} // namespace llmrt
