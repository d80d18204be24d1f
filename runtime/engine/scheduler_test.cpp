// The scheduler by itself: what it plans, without a device.
#include "runtime/engine/scheduler.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>

namespace llmrt {
namespace {

class Bench {
public:
  explicit Bench(int64_t pages, int64_t tokens = 16, int64_t rows = 8, int64_t chunk = 0,
                 SchedulingPolicy policy = SchedulingPolicy::kFcfs, bool prefix_caching = false) {
    KvOptions kv;
    kv.groups = {{"all", 0, pages}};
    kv.page_tokens = 4;
    kv.sequences = 4;
    kv.max_blocks = 16;
    kv.prefix_caching = prefix_caching;
    cache_ = std::make_unique<KvCache>(kv);
    SchedulerOptions options;
    options.limits.tokens = tokens;
    options.limits.sequences = 4;
    options.limits.rows = rows;
    options.limits.max_blocks = 16;
    options.max_model_len = 64;
    options.chunk_tokens = chunk;
    options.policy = policy;
    scheduler_ = std::make_unique<Scheduler>(options, *cache_);
  }

  RequestState *add(int64_t prompt, int32_t max_tokens = 20, bool logits = false, int32_t priority = 0) {
    auto &request = requests_.emplace_back(std::make_unique<RequestState>());
    request->id = request->arrival = requests_.size();
    request->spec.prompt.resize(size_t(prompt));
    request->spec.max_tokens = max_tokens;
    request->spec.priority = priority;
    request->spec.cache_salt = std::to_string(request->id);
    if (logits) request->spec.on_prompt_logits = [](int64_t, std::span<const float>) {};
    request->prompt_length = request->token_count = prompt;
    EXPECT_TRUE(scheduler_->check(*request).ok());
    scheduler_->add(request.get());
    return request.get();
  }

  // Plans and commits; what was planned as "request:tokens/rows" in the plan's order.
  std::string step() {
    const StepPlan plan = scheduler_->plan();
    std::string text;
    StepShape shape;
    for (const PlannedRequest &entry : plan.requests) {
      text += (text.empty() ? "" : " ") + std::to_string(entry.request->id) + ":" + std::to_string(entry.count) + "/" +
              std::to_string(entry.rows);
      EXPECT_EQ(entry.first, entry.request->computed);
      EXPECT_EQ(entry.first_row, shape.rows);
      EXPECT_EQ(entry.first_position + entry.rows, entry.first + entry.count);
      shape.tokens += entry.count;
      shape.rows += entry.rows;
    }
    EXPECT_EQ(plan.shape.tokens, shape.tokens);
    EXPECT_EQ(plan.shape.rows, shape.rows);
    EXPECT_EQ(plan.shape.sequences, int64_t(plan.requests.size()));
    for (const PlannedRequest &entry : plan.requests) {
      scheduler_->commit(entry);
      if (entry.request->wants_prompt_logits()) entry.request->logits_delivered = entry.first_position + entry.rows;
      if (entry.samples) scheduler_->append(entry.request, 0);
    }
    EXPECT_TRUE(cache_->check().ok());
    return text;
  }

  Scheduler &scheduler() { return *scheduler_; }
  KvCache &cache() { return *cache_; }

private:
  std::vector<std::unique_ptr<RequestState>> requests_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST(Scheduler, PromptsRunInChunksBesideDecodes) {
  Bench bench(64, 16);
  bench.add(3);
  EXPECT_EQ(bench.step(), "1:3/1");
  bench.add(40);
  EXPECT_EQ(bench.step(), "1:1/1 2:15/0");
  bench.add(2);
  EXPECT_EQ(bench.step(), "1:1/1 2:15/0");
  EXPECT_EQ(bench.step(), "1:1/1 2:10/1 3:2/1");
  EXPECT_EQ(bench.step(), "1:1/1 2:1/1 3:1/1");
}

TEST(Scheduler, ThePromptBudgetHoldsWhileOthersDecode) {
  Bench bench(100);
  bench.scheduler().set_prompt_budget(3);
  bench.add(5);
  EXPECT_EQ(bench.step(), "1:5/1") << "nobody waits for a token yet";
  bench.add(8);
  bench.add(1);
  EXPECT_EQ(bench.step(), "1:1/1 2:3/0");
  EXPECT_EQ(bench.step(), "1:1/1 2:3/0");
  EXPECT_EQ(bench.step(), "1:1/1 2:2/1 3:1/1");
}

TEST(Scheduler, DecodesGoBeforeAnOlderPrompt) {
  Bench bench(64, 16, 8, 4);
  bench.add(12);
  bench.add(2);
  EXPECT_EQ(bench.step(), "1:4/0 2:2/1");
  EXPECT_EQ(bench.step(), "2:1/1 1:4/0");
}

TEST(Scheduler, PromptLogitsTakeRowsAndShrinkTheChunk) {
  Bench bench(64, 16, 6);
  bench.add(3);
  bench.step();
  bench.add(14, 0, true);
  EXPECT_EQ(bench.step(), "1:1/1 2:5/5");
  EXPECT_EQ(bench.step(), "1:1/1 2:5/5");
  EXPECT_EQ(bench.step(), "1:1/1 2:4/4");
}

TEST(Scheduler, WithoutARowAPromptStopsBeforeItsLastToken) {
  Bench bench(64, 16, 1);
  bench.add(3);
  bench.step();
  RequestState *second = bench.add(6);
  EXPECT_EQ(bench.step(), "1:1/1 2:5/0");
  EXPECT_EQ(bench.step(), "1:1/1") << "its last token waits for a row";
  bench.scheduler().remove(second);
  EXPECT_EQ(bench.step(), "1:1/1");
}

TEST(Scheduler, PreemptsTheLastAndTakesItBackFirst) {
  Bench bench(6, 16); // 24 tokens
  RequestState *first = bench.add(8, 16);
  RequestState *second = bench.add(7, 16);
  RequestState *third = bench.add(4, 2);
  EXPECT_EQ(bench.step(), "1:8/1 2:7/1") << "the two pages that are left are for the two that run: the third waits";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(bench.step(), "1:1/1 2:1/1");
  EXPECT_EQ(bench.step(), "1:1/1") << "the first takes its fourth page";
  EXPECT_EQ(bench.scheduler().preemptions(), 1u);
  EXPECT_FALSE(second->running);
  EXPECT_EQ(second->token_count, 12) << "it keeps what it has made";
  EXPECT_EQ(bench.step(), "1:1/1") << "two pages are free, the second needs three and waits before the third";
  EXPECT_FALSE(third->running);
  bench.scheduler().remove(first);
  EXPECT_EQ(bench.step(), "2:12/1 3:4/1") << "computed anew";
  EXPECT_EQ(second->token_count, 13);
}

TEST(Scheduler, PreemptedPromptsStillGetTheRestOfTheirLogits) {
  Bench bench(7, 16, 2, 0, SchedulingPolicy::kFcfs, true);
  RequestState *first = bench.add(8, 16);
  RequestState *second = bench.add(16, 0, true);
  EXPECT_EQ(bench.step(), "1:8/1 2:1/1");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(bench.step(), "1:1/1 2:1/1");
  EXPECT_EQ(bench.step(), "1:1/1");
  ASSERT_EQ(bench.scheduler().preemptions(), 1u);
  EXPECT_EQ(second->logits_delivered, 9);
  bench.scheduler().remove(first);
  // Meanwhile somebody else has computed the same prompt further.
  const std::vector<int32_t> tokens(12, 0);
  bench.cache().begin(3, root_page_key("2", -1));
  EXPECT_EQ(bench.cache().attach(3, tokens), 8);
  bench.cache().reserve(3, 12);
  bench.cache().commit(3, tokens);
  bench.cache().release(3);
  EXPECT_EQ(bench.step(), "2:3/2") << "from the cached position 8 on, with rows for 9 and 10";
}

TEST(Scheduler, TheLowestPriorityIsPreempted) {
  Bench bench(6, 16, 8, 0, SchedulingPolicy::kPriority);
  RequestState *low = bench.add(8, 16, false, 5);
  RequestState *high = bench.add(7, 16, false, 1);
  EXPECT_EQ(bench.step(), "2:7/1 1:8/1");
  for (int i = 0; i < 10 && bench.scheduler().preemptions() == 0; ++i) bench.step();
  EXPECT_TRUE(high->running);
  EXPECT_FALSE(low->running);
  EXPECT_GT(low->token_count, 8) << "it keeps what it has made";
  EXPECT_EQ(low->computed, 0);
}

TEST(Scheduler, RefusesWhatNeverFits) {
  Bench bench(6);
  RequestState request;
  request.prompt_length = request.token_count = 20;
  request.spec.max_tokens = 5;
  EXPECT_TRUE(bench.scheduler().check(request).ok()) << "the 25th token is not computed";
  request.spec.max_tokens = 6;
  const Status status = bench.scheduler().check(request);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("needs 7 pages"), std::string::npos) << status.message();
}

TEST(Scheduler, MoreRequestsThanSlotsWait) {
  Bench bench(64, 16);
  for (int i = 0; i < 6; ++i) bench.add(2);
  EXPECT_EQ(bench.step(), "1:2/1 2:2/1 3:2/1 4:2/1");
  EXPECT_EQ(bench.scheduler().waiting(), 2);
  EXPECT_EQ(bench.scheduler().waiting_tokens(), 4);
}

} // namespace
} // namespace llmrt
