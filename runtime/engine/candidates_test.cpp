// A device that gives candidates: the answers are those of one that gives whole rows, and a row is read whole where a
// request needs it.
#include "runtime/engine/engine_testing.h"
#include "runtime/engine/token_rules.h"

#include <functional>

namespace llmrt {
namespace {

constexpr int32_t kCandidates = 24;

FakeModel giving(int32_t candidates, int32_t levels = 0) {
  FakeModel model;
  model.vocabulary = 300;
  model.candidates = candidates;
  model.levels = levels;
  return model;
}

RequestSpec asking(uint64_t seed, const std::function<void(RequestSpec &)> &change) {
  RequestSpec spec;
  spec.prompt = {int32_t(1 + seed % 7), 5, 9};
  spec.max_tokens = 6;
  spec.ignore_eos = true;
  spec.sampling.seed = seed;
  spec.sampling.top_k = 8;
  change(spec);
  return spec;
}

class Anything : public TokenRules {
  class Match : public TokenMatch {
    Result<std::span<const uint32_t>> mask() override { return std::span<const uint32_t>(words_); }
    Status accept(int32_t) override { return ok_status(); }
    bool finished() const override { return false; }
    std::vector<uint32_t> words_ = std::vector<uint32_t>(10, 0xf0f0f0f0u);
  };
  std::unique_ptr<TokenMatch> begin() const override { return std::make_unique<Match>(); }
};

struct Kind {
  const char *name;
  std::function<void(RequestSpec &)> change;
};

// Those whose rows' candidates are enough, then those that need more.
const std::vector<Kind> &enough() {
  static const std::vector<Kind> kinds = {
      {"greedy", [](RequestSpec &s) { s.sampling.temperature = 0; }},
      {"greedy without top_k", [](RequestSpec &s) { s.sampling.temperature = 0, s.sampling.top_k = -1; }},
      {"top_k", [](RequestSpec &) {}},
      {"top_k of one", [](RequestSpec &s) { s.sampling.top_k = 1; }},
      {"top_k of all but one", [](RequestSpec &s) { s.sampling.top_k = kCandidates - 1; }},
      {"top_p", [](RequestSpec &s) { s.sampling.top_p = 0.7f; }},
      {"min_p", [](RequestSpec &s) { s.sampling.min_p = 0.05f, s.sampling.temperature = 0.6f; }},
      {"typical_p, XTC", [](RequestSpec &s) { s.sampling.typical_p = 0.8f, s.sampling.xtc_probability = 0.5f; }},
      {"branches", [](RequestSpec &s) { s.branches = 3; }},
  };
  return kinds;
}
const std::vector<Kind> &needing_more() {
  static const std::vector<Kind> kinds = {
      {"no top_k", [](RequestSpec &s) { s.sampling.top_k = -1; }},
      {"top_k of as many", [](RequestSpec &s) { s.sampling.top_k = kCandidates; }},
      {"repetition", [](RequestSpec &s) { s.sampling.repetition_penalty = 1.2f; }},
      {"presence", [](RequestSpec &s) { s.sampling.temperature = 0, s.sampling.presence_penalty = 0.5f; }},
      {"frequency", [](RequestSpec &s) { s.sampling.frequency_penalty = 0.5f; }},
      {"bias", [](RequestSpec &s) { s.sampling.logit_bias = {{250, 9.0f}}; }},
      {"logprobs", [](RequestSpec &s) { s.sampling.logprobs = 2; }},
      {"DRY", [](RequestSpec &s) { s.sampling.dry_multiplier = 1; }},
      {"mirostat", [](RequestSpec &s) { s.sampling.mirostat = 2; }},
      {"min_tokens", [](RequestSpec &s) { s.min_tokens = 6; }},
      {"grammar", [](RequestSpec &s) { s.rules = std::make_shared<Anything>(); }},
      {"beams", [](RequestSpec &s) { s.beams.width = 2; }},
  };
  return kinds;
}

struct Answers {
  std::vector<std::map<int32_t, std::vector<int32_t>>> ids; // by request and branch
  std::vector<std::vector<float>> prompt_rows;              // of the last request
  int64_t whole = 0, candidates = 0, fetched = 0;
};

// All of them in one batch, and one that wants its prompt's logits.
Answers answers_of(const FakeModel &model, const std::vector<Kind> &kinds, uint64_t seed, bool prompt_logits) {
  FakeEngine engine(model, {});
  Answers answers;
  answers.ids.resize(kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    RequestSpec spec = asking(seed + i, kinds[i].change);
    auto &ids = answers.ids[i];
    spec.on_event = [&ids](Event &&event) {
      EXPECT_NE(event.finish, FinishReason::kError) << event.error;
      for (const NewToken &token : event.tokens) ids[event.branch].push_back(token.id);
    };
    engine.submit(std::move(spec));
  }
  Outcome outcome;
  if (prompt_logits)
    engine.submit(watched(asking(seed, [](RequestSpec &) {}), &outcome, true, model.vocabulary));
  engine.finish();
  answers.prompt_rows = outcome.prompt_rows;
  answers.whole = engine.device->whole_rows();
  answers.candidates = engine.device->candidate_rows();
  answers.fetched = engine.device->fetched_rows();
  return answers;
}

TEST(Candidates, GiveTheAnswersOfWholeRows) {
  std::vector<Kind> kinds = enough();
  kinds.insert(kinds.end(), needing_more().begin(), needing_more().end());
  int64_t fetched = 0;
  for (int32_t levels : {0, 40, 3}) // of 40 some equal ones, of 3 a hundred
    for (uint64_t seed = 1; seed < 40; ++seed) {
      const Answers expected = answers_of(giving(0, levels), kinds, 100 * seed, true);
      const Answers answers = answers_of(giving(kCandidates, levels), kinds, 100 * seed, true);
      ASSERT_EQ(answers.ids, expected.ids) << "seed " << seed << ", levels " << levels;
      ASSERT_EQ(answers.prompt_rows, expected.prompt_rows);
      EXPECT_GT(answers.whole, 0);
      EXPECT_GT(answers.candidates, 0);
      EXPECT_TRUE(levels > 0 || answers.fetched == 0) << answers.fetched;
      fetched += answers.fetched;
    }
  EXPECT_GT(fetched, 1000);
}

TEST(Candidates, ARowIsReadWholeWhereItIsNeeded) {
  for (const Kind &kind : enough()) {
    const Answers answers = answers_of(giving(kCandidates), {kind}, 3, false);
    EXPECT_EQ(answers.whole, 0) << kind.name;
    EXPECT_GT(answers.candidates, 0) << kind.name;
  }
  for (const Kind &kind : needing_more()) {
    const Answers answers = answers_of(giving(kCandidates), {kind}, 3, false);
    EXPECT_EQ(answers.candidates, 0) << kind.name;
    EXPECT_GT(answers.whole, 0) << kind.name;
  }
  // Three rows of the prompt and five behind it; what wants logits of the prompt alone does not want them later.
  const Answers answers = answers_of(giving(kCandidates), {}, 3, true);
  EXPECT_EQ(answers.whole, 3);
  EXPECT_EQ(answers.candidates, 5);
}

TEST(Candidates, ANumberThatIsNoneEndsTheRequestAlike) {
  for (float temperature : {0.0f, 1.0f}) {
    std::string errors[2];
    for (int32_t candidates : {0, kCandidates}) {
      FakeEngine engine(giving(candidates), {});
      engine.device->nan_at_step = 2;
      Outcome outcome;
      engine.submit(watched(asking(1, [&](RequestSpec &s) { s.sampling.temperature = temperature; }), &outcome));
      engine.finish();
      EXPECT_EQ(outcome.finish, FinishReason::kError);
      EXPECT_EQ(outcome.ids.size(), 2u);
      errors[candidates > 0] = outcome.error;
    }
    EXPECT_EQ(errors[0], errors[1]);
    EXPECT_NE(errors[0].find("not a finite number"), std::string::npos);
  }
}

// A vocabulary that is smaller than what is kept of it.
TEST(Candidates, MayBeMoreThanThereAreIds) {
  FakeModel small = giving(kCandidates), plain = giving(0);
  small.vocabulary = plain.vocabulary = 12;
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const Answers answers = answers_of(small, {enough()[2], enough()[4]}, seed, false);
    EXPECT_EQ(answers.ids, answers_of(plain, {enough()[2], enough()[4]}, seed, false).ids);
    EXPECT_EQ(answers.whole + answers.fetched, 0);
  }
}

} // namespace
} // namespace llmrt
