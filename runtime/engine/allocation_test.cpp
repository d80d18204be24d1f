// After Engine::create() a step takes no memory but for what its events carry, and the engine takes no more than the
// formula says. A program of its own, for it counts every allocation.
#include "runtime/engine/engine.h"
#include "runtime/engine/fake_model.h"
#include "runtime/engine/sizing.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

namespace {
thread_local bool counting = false;
std::atomic<int64_t> allocations = 0, allocated_bytes = 0;

void *take(size_t bytes) {
  if (counting) {
    ++allocations;
    allocated_bytes += int64_t(bytes);
  }
  if (void *memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
} // namespace

void *operator new(size_t bytes) { return take(bytes); }
void *operator new[](size_t bytes) { return take(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, size_t) noexcept { std::free(memory); }

namespace llmrt {
namespace {

RequestSpec random_request(std::mt19937 &random, int64_t *payloads, bool *ended) {
  RequestSpec spec;
  spec.prompt.resize(1 + random() % 60);
  for (int32_t &id : spec.prompt) id = int32_t(random() % 3);
  spec.max_tokens = int32_t(1 + random() % 40);
  spec.ignore_eos = true;
  spec.sampling.seed = random();
  spec.sampling.temperature = random() % 2 ? 0.0f : 1.0f;
  spec.sampling.top_p = 0.9f;
  spec.sampling.top_k = 20;
  spec.sampling.min_p = 0.01f;
  spec.sampling.repetition_penalty = 1.1f;
  spec.sampling.logit_bias = {{3, 1.0f}};
  spec.sampling.logprobs = int32_t(random() % 3) - 1;
  const bool has_top = spec.sampling.logprobs > 0;
  spec.on_event = [payloads, ended, has_top](Event &&event) {
    *payloads += int64_t(event.tokens.size()) * (1 + has_top); // a vector of one token, and its alternatives
    *payloads += !event.embedding.empty();
    *ended |= event.finish != FinishReason::kNone;
  };
  spec.branches = 1 + int32_t(random() % 3);
  if (spec.sampling.seed % 2) { // so that candidates are enough, where there are no logprobs
    spec.sampling.repetition_penalty = 1;
    spec.sampling.logit_bias.clear();
  }
  if (random() % 4 == 0) spec.on_prompt_logits = [](int64_t, std::span<const float>) {};
  return spec;
}

RequestSpec pooled_request(std::mt19937 &random, int64_t *payloads, bool *ended) {
  RequestSpec spec = random_request(random, payloads, ended);
  spec.max_tokens = 0;
  spec.branches = 1;
  spec.pooling = Pooling(1 + random() % 3);
  return spec;
}

TEST(Allocation, AStepTakesNoMemoryOfItsOwn) {
  FakeModel model;
  model.hidden_width = 5;
  model.candidates = 30;
  model.levels = 3; // of which rows are fetched whole afterwards, as equal ones go on
  model.groups = {{0}, {9}};
  EngineOptions options;
  options.max_model_len = 128;
  options.hidden_states = true;
  options.kv_pages = 50; // so that requests are preempted and pages evicted
  auto owned = std::make_unique<FakeDevice>(model);
  const FakeDevice &device = *owned;
  auto engine = *Engine::create(make_fake_artifact(model), std::move(owned), options);
  std::mt19937 random(1);
  int64_t payloads = 0;
  bool ended[80] = {};
  for (bool &one : ended) {
    const bool pooled = &one - ended >= 60;
    ASSERT_TRUE(engine->submit((pooled ? pooled_request : random_request)(random, &payloads, &one)).ok());
  }
  const Result<RequestId> cancelled = engine->submit(random_request(random, &payloads, &ended[0]));
  ASSERT_TRUE(cancelled.ok());
  engine->cancel(*cancelled);
  allocations = 0;
  counting = true;
  bool busy = true;
  while (busy) {
    const Result<bool> more = engine->step();
    busy = more.ok() && *more;
  }
  counting = false;
  for (bool one : ended) EXPECT_TRUE(one);
  EXPECT_GT(engine->stats().preemptions, 0u);
  EXPECT_GT(engine->stats().prefix_hits, 0u);
  EXPECT_GT(device.candidate_rows(), 100);
  EXPECT_GT(device.whole_rows(), 100);
  EXPECT_GT(device.fetched_rows(), 10);
  EXPECT_GT(payloads, 1200);
  EXPECT_EQ(allocations, payloads);
}

TEST(Allocation, TheEngineKeepsToItsFormula) {
  for (int64_t sequences : {1, 64}) {
    for (int64_t length : {64, 20000}) {
      FakeModel model;
      model.groups = {{0}, {50}};
      model.vocabulary = 3000;
      model.hidden_width = 700;
      const auto artifact = make_fake_artifact(model);
      EngineOptions options;
      options.hidden_states = true;
      options.max_num_seqs = sequences;
      options.max_model_len = length;
      const Result<Sizing> sizing = size_engine(artifact->meta(), "cpu", options, int64_t(1) << 40);
      ASSERT_TRUE(sizing.ok());
      ProcessMemory nothing;
      nothing.threads = nothing.other_bytes = 0;
      const MemoryReport report = report_memory(*artifact, *sizing, nothing);
      const MemoryPlan plan = plan_memory(*artifact, "cpu", sizing->limits, 0, 0);
      int64_t device_bytes = plan.arena_bytes + plan.step_block_bytes;
      for (int64_t bytes : plan.pool_bytes) device_bytes += bytes;

      // Alone: the fake device's own memory is not the engine's.
      FakeDevice device(model);
      allocated_bytes = 0;
      counting = true;
      (void)device.prepare(sizing->limits);
      const int64_t fake_bytes = allocated_bytes.exchange(0);
      auto owned = std::make_unique<FakeDevice>(model);
      auto engine = *Engine::create(artifact, std::move(owned), options);
      counting = false;
      EXPECT_EQ(engine->max_model_len(), length);
      const int64_t engine_bytes = allocated_bytes - fake_bytes;
      EXPECT_LE(engine_bytes, report.private_bytes - device_bytes) << sequences << " x " << length;
      EXPECT_GT(engine_bytes, 0);
    }
  }
}

} // namespace
} // namespace llmrt
