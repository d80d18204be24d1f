// Rules that say which tokens may come, through batches, preemption and branches.
#include "runtime/engine/engine_testing.h"
#include "runtime/engine/token_rules.h"

#include <gmock/gmock.h>

namespace llmrt {
namespace {

// The n-th token is, modulo 7, the sum of those before it plus n; `length` of them, then nothing.
class SumMatch : public TokenMatch {
public:
  SumMatch(int32_t vocabulary, int length) : vocabulary_(vocabulary), length_(length), mask_(size_t(vocabulary + 31) / 32) {}
  Result<std::span<const uint32_t>> mask() override {
    std::fill(mask_.begin(), mask_.end(), 0);
    for (int32_t id = 1; id < vocabulary_ && count_ < length_; ++id)
      if (fits(id)) mask_[size_t(id) / 32] |= 1u << (id % 32);
    return std::span<const uint32_t>(mask_);
  }
  Status accept(int32_t id) override {
    if (!fits(id)) return Status(StatusCode::kInvalidArgument, "does not fit");
    sum_ += id;
    ++count_;
    return ok_status();
  }
  bool finished() const override { return count_ == length_; }
  bool fits(int32_t id) const { return id % 7 == (sum_ + count_) % 7; }

private:
  const int32_t vocabulary_;
  const int length_;
  int32_t sum_ = 0;
  int count_ = 0;
  std::vector<uint32_t> mask_;
};

class SumRules : public TokenRules {
public:
  SumRules(int32_t vocabulary, int length) : vocabulary_(vocabulary), length_(length) {}
  std::unique_ptr<TokenMatch> begin() const override { return std::make_unique<SumMatch>(vocabulary_, length_); }

private:
  const int32_t vocabulary_;
  const int length_;
};

RequestSpec ruled(const FakeModel &model, std::vector<int32_t> prompt, int length) {
  RequestSpec spec;
  spec.prompt = std::move(prompt);
  spec.max_tokens = 50;
  spec.rules = std::make_shared<SumRules>(model.vocabulary, length);
  return spec;
}

void expect_ruled(const Outcome &outcome, size_t length, int32_t vocabulary) {
  EXPECT_EQ(outcome.finish, FinishReason::kStop) << outcome.error;
  EXPECT_EQ(outcome.ids.size(), length);
  SumMatch match(vocabulary, int(length));
  for (int32_t id : outcome.ids) EXPECT_TRUE(match.accept(id).ok());
}

TEST(Rules, AreFollowedAndEndTheAnswer) {
  const FakeModel model;
  for (float temperature : {0.0f, 1.0f}) {
    RequestSpec spec = ruled(model, {3, 4}, 9);
    spec.sampling.temperature = temperature;
    expect_ruled(run_alone(model, spec, false, 128), 9, model.vocabulary);
  }
}

TEST(Rules, PreemptionDoesNotTouchThem) {
  const FakeModel model;
  EngineOptions options;
  options.max_num_seqs = 4;
  options.max_model_len = 60;
  options.kv_pages = 18;
  FakeEngine engine(model, options);
  std::vector<Outcome> outcomes(4);
  std::vector<RequestSpec> specs;
  for (int32_t i = 0; i < 4; ++i) specs.push_back(ruled(model, {i + 1, 2, 3, 4, 5}, 40));
  for (size_t i = 0; i < 4; ++i) engine.submit(watched(specs[i], &outcomes[i]));
  engine.finish();
  EXPECT_GT(engine->stats().preemptions, 0u);
  for (size_t i = 0; i < 4; ++i) {
    expect_ruled(outcomes[i], 40, model.vocabulary);
    EXPECT_EQ(outcomes[i].ids, run_alone(model, specs[i], false, 60).ids);
  }
}

TEST(Rules, EachBranchFollowsThemByItself) {
  const FakeModel model;
  FakeEngine engine(model, {});
  std::map<int32_t, Outcome> outcomes;
  RequestSpec spec = ruled(model, {7, 8, 9}, 12);
  spec.branches = 3;
  spec.on_event = [&](Event &&event) {
    Outcome &outcome = outcomes[event.branch];
    for (const NewToken &token : event.tokens) outcome.ids.push_back(token.id);
    if (event.finish != FinishReason::kNone) outcome.finish = event.finish;
  };
  engine.submit(std::move(spec));
  engine.finish();
  ASSERT_EQ(outcomes.size(), 3u);
  for (auto &[branch, outcome] : outcomes) expect_ruled(outcome, 12, model.vocabulary);
  EXPECT_NE(outcomes[0].ids, outcomes[1].ids);
}

TEST(Rules, NothingLeftIsAnError) {
  class Nothing : public TokenMatch {
    Result<std::span<const uint32_t>> mask() override { return std::span<const uint32_t>(words_); }
    Status accept(int32_t) override { return ok_status(); }
    bool finished() const override { return false; }
    std::vector<uint32_t> words_ = std::vector<uint32_t>(2);
  };
  class NothingRules : public TokenRules {
    std::unique_ptr<TokenMatch> begin() const override { return std::make_unique<Nothing>(); }
  };
  const FakeModel model;
  for (float temperature : {0.0f, 1.0f}) {
    RequestSpec spec = ruled(model, {1}, 1);
    spec.rules = std::make_shared<NothingRules>();
    spec.sampling.temperature = temperature;
    const Outcome outcome = run_alone(model, spec, false, 128);
    EXPECT_EQ(outcome.finish, FinishReason::kError);
    EXPECT_THAT(outcome.error, ::testing::HasSubstr("the grammar leave no token"));
  }
}

TEST(Rules, NoBeams) {
  const FakeModel model;
  FakeEngine engine(model, {});
  RequestSpec spec = ruled(model, {1}, 4);
  spec.beams.width = 2;
  const auto id = engine->submit(std::move(spec));
  ASSERT_FALSE(id.ok());
  EXPECT_THAT(id.status().message(), ::testing::HasSubstr("beam search does not go together with a grammar"));
}

} // namespace
} // namespace llmrt
