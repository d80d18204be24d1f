// Pooled hidden states: the same bits alone, in a batch, in chunks, behind the prefix cache and after preemption.
#include "runtime/engine/engine_testing.h"
#include "runtime/engine/pooling.h"

#include <gmock/gmock.h>

namespace llmrt {
namespace {

using testing::HasSubstr;

constexpr Pooling kAll[] = {Pooling::kMean, Pooling::kCls, Pooling::kLast};

FakeModel hidden_model() {
  FakeModel model;
  model.hidden_width = 5;
  return model;
}

RequestSpec pooled(Pooling pooling, int64_t length, int32_t seed = 1) {
  RequestSpec spec;
  for (int64_t i = 0; i < length; ++i) spec.prompt.push_back(int32_t(1 + (seed * 7 + i * 3) % 40));
  spec.max_tokens = 0;
  spec.pooling = pooling;
  return spec;
}

EngineOptions hidden_options() {
  EngineOptions options;
  options.hidden_states = true;
  return options;
}

std::vector<float> embed_alone(const RequestSpec &spec) {
  EngineOptions options = hidden_options();
  options.prefix_caching = false;
  FakeEngine engine(hidden_model(), options);
  Outcome outcome;
  engine.submit(watched(spec, &outcome));
  engine.finish();
  EXPECT_EQ(outcome.finish, FinishReason::kLength);
  EXPECT_EQ(outcome.embedding.size(), 5u);
  return outcome.embedding;
}

TEST(Pooling, TakesTheRowsItNames) {
  // A prompt of one token has one row; one of two has that row and another.
  const RequestSpec one = pooled(Pooling::kLast, 1), two = pooled(Pooling::kLast, 2);
  const std::vector<float> first = embed_alone(one), last = embed_alone(two);
  EXPECT_NE(first, last);
  EXPECT_EQ(embed_alone(pooled(Pooling::kCls, 2)), first);
  EXPECT_EQ(embed_alone(pooled(Pooling::kMean, 1)), first);
  std::vector<float> mean;
  for (size_t i = 0; i < first.size(); ++i) mean.push_back(float((double(first[i]) + double(last[i])) / 2));
  EXPECT_EQ(embed_alone(pooled(Pooling::kMean, 2)), mean);
}

TEST(Pooling, ChunksDoNotChangeTheBits) {
  for (Pooling pooling : kAll) {
    const std::vector<float> whole = embed_alone(pooled(pooling, 61));
    for (int64_t chunk : {1, 7, 64}) {
      EngineOptions options = hidden_options();
      options.chunk_tokens = chunk;
      FakeEngine engine(hidden_model(), options);
      Outcome outcome;
      engine.submit(watched(pooled(pooling, 61), &outcome));
      engine.finish();
      EXPECT_EQ(outcome.embedding, whole) << "chunks of " << chunk;
    }
  }
}

TEST(Pooling, RunsBesideAnswers) {
  EngineOptions options = hidden_options();
  options.max_num_batched_tokens = 16;
  FakeEngine engine(hidden_model(), options);
  RequestSpec talks;
  talks.prompt = {3, 4, 5};
  talks.max_tokens = 20;
  talks.ignore_eos = true;
  talks.sampling.temperature = 0;
  Outcome talk, outcomes[3];
  engine.submit(watched(talks, &talk));
  for (int i = 0; i < 3; ++i) engine.submit(watched(pooled(kAll[i], 23 + i, i), &outcomes[i]));
  engine.finish();
  EXPECT_EQ(talk.ids, run_alone(hidden_model(), talks, false, 128).ids);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcomes[i].embedding, embed_alone(pooled(kAll[i], 23 + i, i)));
}

TEST(Pooling, TheCacheIsReadOnlyWhereNoRowIsMissed) {
  for (Pooling pooling : kAll) {
    FakeEngine engine(hidden_model(), hidden_options());
    Outcome first, again;
    engine.submit(watched(pooled(pooling, 33), &first));
    engine.finish();
    engine.submit(watched(pooled(pooling, 33), &again));
    engine.finish();
    EXPECT_EQ(again.embedding, first.embedding);
    EXPECT_EQ(again.cached_tokens, pooling == Pooling::kLast ? 32 : 0);
  }
}

TEST(Pooling, SurvivesPreemption) {
  EngineOptions options = hidden_options();
  options.kv_pages = 14; // of four tokens: not enough for all at once
  options.max_model_len = 48;
  options.chunk_tokens = 5;
  FakeEngine engine(hidden_model(), options);
  std::vector<Outcome> outcomes(6);
  std::vector<RequestSpec> specs;
  for (int i = 0; i < 6; ++i) {
    RequestSpec spec = pooled(kAll[i % 3], 40, i);
    if (i < 2) { // answers that grow push the others out
      spec.pooling = Pooling::kNone;
      spec.prompt.resize(4);
      spec.max_tokens = 40;
      spec.ignore_eos = true;
    }
    specs.push_back(spec);
    engine.submit(watched(spec, &outcomes[size_t(i)]));
  }
  engine.finish();
  EXPECT_GT(engine->stats().preemptions, 0u);
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(outcomes[i].embedding, embed_alone(specs[i])) << i;
}

TEST(Pooling, IsRefusedWhereThereIsNothingToPool) {
  FakeEngine without({}, hidden_options()), off(hidden_model(), {});
  for (FakeEngine *engine : {&without, &off}) {
    EXPECT_EQ((*engine)->hidden_width(), 0);
    const Status status = (*engine)->submit(pooled(Pooling::kMean, 3)).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(), HasSubstr("compile it again"));
  }
  FakeEngine engine(hidden_model(), hidden_options());
  EXPECT_EQ(engine->hidden_width(), 5);
  RequestSpec spec = pooled(Pooling::kMean, 3);
  spec.max_tokens = 1;
  EXPECT_EQ(engine->submit(spec).status().code(), StatusCode::kInvalidArgument);
}

TEST(Pooling, NormalizesToLengthOne) {
  std::vector<float> values = {3, 0, -4};
  normalize(values);
  EXPECT_EQ(values, (std::vector<float>{0.6f, 0, -0.8f}));
  std::vector<float> zeros = {0, 0};
  normalize(zeros);
  EXPECT_EQ(zeros, (std::vector<float>{0, 0}));
}

} // namespace
} // namespace llmrt
