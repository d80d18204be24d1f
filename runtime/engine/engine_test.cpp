#include "runtime/base/os.h"
#include "runtime/engine/engine_testing.h"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace llmrt {
namespace {

using testing::HasSubstr;

std::vector<int32_t> counting(int64_t count) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(int32_t(1 + i % 40));
  return tokens;
}

RequestSpec greedy(int64_t prompt, int32_t max_tokens) {
  RequestSpec spec;
  spec.prompt = counting(prompt);
  spec.max_tokens = max_tokens;
  spec.ignore_eos = true;
  spec.sampling.temperature = 0;
  return spec;
}

TEST(Engine, RunsARequestToItsLength) {
  FakeEngine engine({}, {});
  Outcome outcome;
  engine.submit(watched(greedy(9, 5), &outcome));
  engine.finish();
  EXPECT_EQ(outcome.ids.size(), 5u);
  EXPECT_EQ(outcome.finish, FinishReason::kLength);
  EXPECT_EQ(outcome.events_after_end, 0);
  EXPECT_EQ(engine.device->steps(), 5) << "the prompt's step gives the first token";
  EXPECT_EQ(engine.device->tokens_run(), 9 + 4) << "the last token is not computed";
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.prompt_tokens, 9u);
  EXPECT_EQ(stats.generation_tokens, 5u);
  EXPECT_EQ(stats.finished_length, 1u);
  EXPECT_EQ(stats.steps, 5u);
  EXPECT_EQ(stats.step_tokens, 9u + 4);
  EXPECT_EQ(stats.steps_by_tokens[0], 4u) << "steps of one token";
  EXPECT_EQ(stats.steps_by_tokens[2], 1u) << "a step of 9 to 16 tokens";
  EXPECT_GT(outcome.waited_ns, 0u);
  EXPECT_FALSE(engine.step()) << "idle";
}

TEST(Engine, StopsAtEndIdsStopIdsAndTheModelsLength) {
  FakeModel model;
  const Outcome free = run_alone(model, greedy(9, 30), false, 128);
  ASSERT_EQ(free.ids.size(), 30u);
  auto first_of = [&](int32_t id) {
    return size_t(std::find(free.ids.begin(), free.ids.end(), id) - free.ids.begin());
  };

  model.end_ids = {free.ids[7]};
  RequestSpec spec = greedy(9, 30);
  spec.ignore_eos = false;
  Outcome outcome = run_alone(model, spec, false, 128);
  EXPECT_EQ(outcome.finish, FinishReason::kStop);
  EXPECT_EQ(outcome.ids.size(), first_of(free.ids[7]) + 1);
  EXPECT_EQ(outcome.ids.back(), free.ids[7]) << "the id that ended it is reported";

  spec.ignore_eos = true;
  EXPECT_EQ(run_alone(model, spec, false, 128).ids, free.ids);

  spec.stop_ids = {free.ids[4]};
  outcome = run_alone(model, spec, false, 128);
  EXPECT_EQ(outcome.finish, FinishReason::kStop);
  EXPECT_EQ(outcome.ids.size(), first_of(free.ids[4]) + 1);

  outcome = run_alone(model, greedy(9, 30), false, 20);
  EXPECT_EQ(outcome.finish, FinishReason::kLength);
  EXPECT_EQ(outcome.ids.size(), 11u) << "prompt and new tokens together are max_model_len";
}

TEST(Engine, MinTokensBansEndIds) {
  FakeModel model;
  model.vocabulary = 3; // the end id comes soon
  RequestSpec spec = greedy(9, 60);
  for (int32_t &id : spec.prompt) id %= 3;
  spec.ignore_eos = false;
  ASSERT_LT(run_alone(model, spec, false, 128).ids.size(), 40u);
  spec.min_tokens = 40;
  const Outcome outcome = run_alone(model, spec, false, 128);
  EXPECT_GT(outcome.ids.size(), 40u);
  EXPECT_EQ(std::count(outcome.ids.begin(), outcome.ids.begin() + 40, 0), 0);
}

TEST(Engine, MaxTokensZeroRunsThePromptForItsLogits) {
  FakeModel model;
  for (int64_t chunk : {1, 7, 64}) {
    EngineOptions options;
    options.chunk_tokens = chunk;
    options.max_rows = 5;
    FakeEngine engine(model, options);
    Outcome outcome;
    engine.submit(watched(greedy(21, 0), &outcome, true, model.vocabulary));
    engine.finish();
    EXPECT_EQ(outcome.finish, FinishReason::kLength);
    EXPECT_TRUE(outcome.ids.empty());
    EXPECT_EQ(outcome.next_row, 21);
    EXPECT_EQ(outcome.prompt_rows, run_alone(model, greedy(21, 0), true, 128).prompt_rows);
  }
}

TEST(Engine, ServesPromptsAndAnswersFromThePrefixCache) {
  FakeModel model;
  FakeEngine engine(model, {});
  Outcome first, again, longer, salted;
  engine.submit(watched(greedy(16, 8), &first));
  engine.finish();
  EXPECT_EQ(first.cached_tokens, 0);
  engine.submit(watched(greedy(16, 8), &again));
  engine.finish();
  EXPECT_EQ(again.cached_tokens, 12) << "every full page, but never the last token";
  EXPECT_EQ(again.ids, first.ids);

  RequestSpec turn = greedy(16, 8);
  turn.prompt.insert(turn.prompt.end(), first.ids.begin(), first.ids.end());
  const RequestSpec second_turn = turn;
  engine.submit(watched(turn, &longer));
  engine.finish();
  EXPECT_EQ(longer.cached_tokens, 20) << "23 tokens were computed: what was generated is cached too";
  EXPECT_EQ(longer.ids, run_alone(model, second_turn, false, 128).ids);

  turn = second_turn;
  turn.cache_salt = "tenant";
  engine.submit(watched(turn, &salted));
  engine.finish();
  EXPECT_EQ(salted.cached_tokens, 0);
  EXPECT_EQ(salted.ids, longer.ids);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.prefix_hits, 32u);
  EXPECT_EQ(stats.prefix_queries, 16u + 16u + 24u + 24u);
}

TEST(Engine, RopeLengthIsPartOfAPagesName) {
  FakeModel model;
  model.uses_rope_length = true;
  FakeEngine engine(model, {});
  Outcome a, b, c;
  engine.submit(watched(greedy(16, 4), &a));
  engine.finish();
  engine.submit(watched(greedy(17, 4), &b));
  engine.finish();
  EXPECT_EQ(b.cached_tokens, 0) << "another prompt length: other keys";
  engine.submit(watched(greedy(16, 4), &c));
  engine.finish();
  EXPECT_EQ(c.cached_tokens, 12);
  EXPECT_EQ(c.ids, a.ids);
  EXPECT_EQ(b.ids, run_alone(model, greedy(17, 4), false, 128).ids);
}

TEST(Engine, RefusesWhatCannotWork) {
  EngineOptions options;
  options.max_model_len = 32;
  options.max_queue = 2;
  FakeEngine engine({}, options);
  auto refusal = [&](auto change) {
    RequestSpec spec = greedy(4, 4);
    change(spec);
    const Result<RequestId> id = engine->submit(std::move(spec));
    return id.ok() ? std::string("accepted") : id.status().message();
  };
  EXPECT_THAT(refusal([](RequestSpec &s) { s.prompt.clear(); }), HasSubstr("empty"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.prompt[2] = 50; }), HasSubstr("position 2"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.prompt[0] = -1; }), HasSubstr("vocabulary"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.prompt = counting(32); }), HasSubstr("max_model_len is 32"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.max_tokens = -1; }), HasSubstr("max_tokens"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.min_tokens = 5; }), HasSubstr("min_tokens"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.stop_ids = {50}; }), HasSubstr("stop token"));
  EXPECT_THAT(refusal([](RequestSpec &s) { s.sampling.top_p = 0; }), HasSubstr("top_p"));
  EXPECT_EQ(refusal([](RequestSpec &s) {}), "accepted");
  EXPECT_EQ(refusal([](RequestSpec &s) { s.prompt = counting(32), s.max_tokens = 0; }), "accepted");
  const Result<RequestId> full = engine->submit(greedy(4, 4));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.status().code(), StatusCode::kExhausted);
  engine.finish();
}

TEST(Engine, PreemptsTheLastAndFinishesAll) {
  FakeModel model;
  EngineOptions options;
  options.max_model_len = 40;
  options.kv_pages = 12; // of 4 tokens: one and a bit at full length
  FakeEngine engine(model, options);
  std::vector<Outcome> outcomes(4);
  for (Outcome &outcome : outcomes) {
    RequestSpec spec = greedy(6, 34);
    spec.prompt[0] = int32_t(&outcome - outcomes.data());
    engine.submit(watched(spec, &outcome));
  }
  engine.finish(1000);
  EXPECT_GT(engine->stats().preemptions, 0u);
  for (Outcome &outcome : outcomes) {
    RequestSpec spec = greedy(6, 34);
    spec.prompt[0] = int32_t(&outcome - outcomes.data());
    EXPECT_EQ(outcome.ids, run_alone(model, spec, false, 40).ids);
  }
}

TEST(Engine, PredictedAdmissionNeverPreempts) {
  FakeModel model;
  EngineOptions options;
  options.max_model_len = 44;
  options.kv_pages = 25;
  options.admission = Admission::kPredicted;
  FakeEngine engine(model, options);
  std::vector<Outcome> outcomes(9);
  for (Outcome &outcome : outcomes) engine.submit(watched(greedy(3 + (&outcome - outcomes.data()), 30), &outcome));
  engine.finish(1000);
  EXPECT_EQ(engine->stats().preemptions, 0u);
  for (Outcome &outcome : outcomes) EXPECT_EQ(outcome.ids.size(), 30u);
}

TEST(Engine, DeviceFailureEndsEveryRequestWithAnError) {
  FakeEngine engine({}, {});
  std::vector<Outcome> outcomes(3);
  for (Outcome &outcome : outcomes) engine.submit(watched(greedy(5, 10), &outcome));
  engine.device->fail_at_step = 3;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(engine.step());
  const Result<bool> failed = engine->step();
  ASSERT_FALSE(failed.ok());
  for (Outcome &outcome : outcomes) {
    EXPECT_EQ(outcome.finish, FinishReason::kError);
    EXPECT_THAT(outcome.error, HasSubstr("asked to fail"));
  }
  engine.expect_sound();
  EXPECT_EQ(engine->stats().pages_used, 0);
}

TEST(Engine, LogitsThatAreNotNumbersEndTheirRequestAlone) {
  FakeEngine engine({}, {});
  Outcome bad, good;
  engine.device->nan_at_step = 2;
  engine.submit(watched(greedy(5, 10), &bad));
  engine.submit(watched(greedy(6, 10), &good));
  engine.finish();
  EXPECT_EQ(bad.finish, FinishReason::kError);
  EXPECT_EQ(bad.ids.size(), 2u);
  EXPECT_EQ(good.finish, FinishReason::kLength);
  EXPECT_EQ(good.ids.size(), 10u);
  EXPECT_EQ(engine->stats().finished_error, 1u);
}

TEST(Engine, CancelledRequestsFreeTheirPagesWithinAStep) {
  EngineOptions options;
  options.prefix_caching = false;
  FakeEngine engine({}, options);
  Outcome running, waiting;
  const RequestId id = engine.submit(watched(greedy(30, 50), &running));
  engine.step();
  engine.step();
  EXPECT_GT(engine->stats().pages_used, 0);
  engine->cancel(id);
  const RequestId other = engine.submit(watched(greedy(30, 50), &waiting));
  engine->cancel(other);
  engine->cancel(12345);
  engine.step();
  EXPECT_EQ(running.finish, FinishReason::kCancelled);
  EXPECT_EQ(waiting.finish, FinishReason::kCancelled);
  EXPECT_EQ(engine->stats().pages_used, 0);
  EXPECT_EQ(engine->stats().waiting, 0);
  EXPECT_EQ(engine->stats().finished_cancelled, 2u);
  engine->cancel(id);
  EXPECT_FALSE(engine.step());
  EXPECT_EQ(running.events_after_end, 0);
}

TEST(Engine, ADeadlineEndsARequestWhereverItIs) {
  EngineOptions options;
  options.max_num_seqs = 1;
  FakeEngine engine({}, options);
  Outcome running, waiting, patient;
  RequestSpec spec = greedy(9, 50);
  spec.deadline_ns = os::monotonic_ns() + 1; // over when the first step begins
  engine.submit(watched(spec, &running));
  engine.submit(watched(spec, &waiting));
  spec.deadline_ns = os::monotonic_ns() + uint64_t(3600e9);
  engine.submit(watched(spec, &patient));
  engine.finish();
  EXPECT_EQ(running.finish, FinishReason::kDeadline);
  EXPECT_EQ(waiting.finish, FinishReason::kDeadline);
  EXPECT_EQ(patient.finish, FinishReason::kLength);
  EXPECT_EQ(patient.ids.size(), 50u);
}

TEST(Engine, AnItlLimitThatCannotBeKeptIsCounted) {
  EngineOptions options;
  options.max_itl_seconds = 1e-12;
  FakeEngine engine({}, options);
  Outcome outcome;
  engine.submit(watched(greedy(40, 5), &outcome));
  engine.finish();
  EXPECT_EQ(outcome.ids.size(), 5u);
  EXPECT_EQ(engine->stats().itl_limit_missed, 4u) << "every step that decoded";
}

TEST(Engine, ASinkMayCancel) {
  FakeEngine engine({}, {});
  Outcome outcome;
  RequestSpec spec = watched(greedy(5, 50), &outcome);
  spec.on_event = [sink = std::move(spec.on_event), &engine](Event &&event) {
    engine->cancel(event.id);
    sink(std::move(event));
  };
  engine.submit(std::move(spec));
  engine.finish();
  EXPECT_EQ(outcome.ids.size(), 1u);
  EXPECT_EQ(outcome.finish, FinishReason::kCancelled);
}

TEST(Engine, PriorityRunsFirst) {
  EngineOptions options;
  options.max_num_seqs = 1;
  options.policy = SchedulingPolicy::kPriority;
  FakeEngine engine({}, options);
  std::vector<int32_t> order;
  for (int32_t priority : {0, 5, -3, 5, 1}) {
    RequestSpec spec = greedy(5, 3);
    spec.priority = priority;
    spec.on_event = [&order, priority](Event &&event) {
      if (event.finish != FinishReason::kNone) order.push_back(priority);
    };
    engine.submit(std::move(spec));
  }
  engine.finish();
  EXPECT_EQ(order, (std::vector<int32_t>{-3, 0, 1, 5, 5}));
}

TEST(Engine, DrainFinishesWhatWasTakenAndStopDoesNot) {
  for (bool drain : {true, false}) {
    FakeEngine engine({}, {});
    std::vector<Outcome> outcomes(20);
    for (Outcome &outcome : outcomes) engine.submit(watched(greedy(5, 40), &outcome));
    engine->stop(drain);
    EXPECT_EQ(engine->submit(greedy(5, 5)).status().code(), StatusCode::kCancelled);
    EXPECT_TRUE(engine->run().ok());
    for (Outcome &outcome : outcomes)
      EXPECT_EQ(outcome.finish, drain ? FinishReason::kLength : FinishReason::kCancelled);
    engine.expect_sound();
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
}

TEST(Engine, TakesRequestsAndCancelsFromManyThreads) {
  FakeModel model;
  EngineOptions options;
  options.kv_pages = 60;
  options.max_model_len = 64;
  FakeEngine engine(model, options);
  std::thread runner([&] { EXPECT_TRUE(engine->run().ok()); });
  constexpr int kThreads = 4, kEach = 60;
  std::atomic<int> ended = 0, cancelled = 0;
  std::vector<std::thread> clients;
  for (int thread = 0; thread < kThreads; ++thread)
    clients.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        RequestSpec spec = greedy(3 + (thread * 7 + i) % 20, 10 + i % 20);
        spec.on_event = [&](Event &&event) {
          if (event.finish == FinishReason::kNone) return;
          EXPECT_TRUE(event.finish == FinishReason::kLength || event.finish == FinishReason::kCancelled);
          cancelled += event.finish == FinishReason::kCancelled;
          ++ended;
        };
        const Result<RequestId> id = engine->submit(std::move(spec));
        ASSERT_TRUE(id.ok()) << id.status().message();
        if (i % 3 == 0) engine->cancel(*id);
        if (i % 10 == 0) std::this_thread::yield();
        const EngineStats stats = engine->stats();
        EXPECT_EQ(stats.pages_free + stats.pages_cached + stats.pages_used, stats.pages_total);
      }
    });
  for (std::thread &client : clients) client.join();
  engine->stop(true);
  runner.join();
  EXPECT_EQ(ended, kThreads * kEach);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.finished_cancelled, uint64_t(cancelled));
  EXPECT_EQ(stats.finished_cancelled + stats.finished_length, uint64_t(kThreads * kEach));
  engine.expect_sound();
  EXPECT_EQ(stats.pages_used, 0);
}

} // namespace
} // namespace llmrt
