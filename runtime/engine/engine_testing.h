// Helpers of the engine's tests: an engine over the fake model, and what became of each request.
#pragma once

#include "runtime/engine/engine.h"
#include "runtime/engine/fake_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <vector>

namespace llmrt {

struct Outcome {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  std::vector<std::vector<float>> prompt_rows; // by position; empty where none came
  int64_t next_row = 0;                        // positions come in order
  FinishReason finish = FinishReason::kNone;
  std::string error;
  std::vector<float> embedding;
  int32_t cached_tokens = 0;
  uint64_t waited_ns = 0;
  int events_after_end = 0;
};

// Sends a request's events and logits to `outcome`, which must outlive it.
inline RequestSpec watched(RequestSpec spec, Outcome *outcome, bool prompt_logits = false, int32_t vocabulary = 0) {
  outcome->prompt_rows.resize(spec.prompt.size());
  spec.on_event = [outcome](Event &&event) {
    outcome->events_after_end += outcome->finish != FinishReason::kNone;
    for (const NewToken &token : event.tokens) {
      outcome->ids.push_back(token.id);
      outcome->logprobs.push_back(token.logprob);
    }
    outcome->cached_tokens = event.cached_tokens;
    outcome->waited_ns = event.waited_ns;
    if (event.finish == FinishReason::kNone) return;
    outcome->finish = event.finish;
    outcome->error = event.error;
    outcome->embedding = std::move(event.embedding);
  };
  if (prompt_logits)
    spec.on_prompt_logits = [outcome, vocabulary](int64_t first, std::span<const float> rows) {
      EXPECT_EQ(rows.size() % size_t(vocabulary), 0u);
      EXPECT_GE(first, outcome->next_row) << "rows come in order and once";
      for (size_t at = 0; at < rows.size(); at += size_t(vocabulary), ++first)
        outcome->prompt_rows[size_t(first)].assign(rows.begin() + ptrdiff_t(at),
                                                   rows.begin() + ptrdiff_t(at + size_t(vocabulary)));
      outcome->next_row = first;
    };
  return spec;
}

struct FakeEngine {
  std::unique_ptr<Engine> engine;
  FakeDevice *device = nullptr;

  FakeEngine(const FakeModel &model, const EngineOptions &options) {
    auto owned = std::make_unique<FakeDevice>(model);
    device = owned.get();
    Result<std::unique_ptr<Engine>> made = Engine::create(make_fake_artifact(model), std::move(owned), options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (made.ok()) engine = std::move(*made);
  }
  Engine *operator->() { return engine.get(); }

  RequestId submit(RequestSpec spec) {
    Result<RequestId> id = engine->submit(std::move(spec));
    EXPECT_TRUE(id.ok()) << id.status().message();
    return id.ok() ? *id : 0;
  }
  bool step() {
    Result<bool> more = engine->step();
    EXPECT_TRUE(more.ok()) << more.status().message();
    return more.ok() && *more;
  }
  void expect_sound() {
    const Status status = engine->check_integrity();
    EXPECT_TRUE(status.ok()) << status.message();
    const EngineStats stats = engine->stats();
    EXPECT_EQ(stats.pages_free + stats.pages_cached + stats.pages_used, stats.pages_total);
  }
  // To the end; `limit` steps are surely enough.
  void finish(int limit = 100000) {
    while (step())
      if (--limit == 0) FAIL() << "it does not come to an end";
    expect_sound();
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
};

// What the request gives alone, in one piece, with all the pages it wants and nothing cached.
inline Outcome run_alone(const FakeModel &model, const RequestSpec &spec, bool prompt_logits, int64_t max_model_len) {
  EngineOptions options;
  options.max_model_len = max_model_len;
  options.max_num_seqs = 1;
  options.max_num_batched_tokens = options.max_rows = max_model_len;
  options.kv_pages = max_model_len;
  options.prefix_caching = false;
  FakeEngine engine(model, options);
  Outcome outcome;
  engine.submit(watched(spec, &outcome, prompt_logits, model.vocabulary));
  engine.finish();
  return outcome;
}

} // namespace llmrt
