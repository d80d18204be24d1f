#include "runtime/engine/pace.h"

#include <gtest/gtest.h>

namespace llmrt {
namespace {

// A machine whose steps take 4 ms and 0.1 ms a prompt token.
double step(int64_t prompt_tokens, double token_seconds = 1e-4) { return 4e-3 + token_seconds * double(prompt_tokens); }

TEST(Pace, FindsTheChunkThatKeepsTheLimit) {
  Pace pace(20e-3);
  pace.observe(0, 8, step(0));
  int64_t tokens = pace.prompt_tokens();
  EXPECT_EQ(tokens, 16) << "careful while nothing is known";
  for (int i = 0; i < 50; ++i) {
    EXPECT_LE(step(tokens), 20e-3);
    pace.observe(tokens, 8, step(tokens));
    tokens = pace.prompt_tokens();
  }
  EXPECT_NEAR(double(tokens), (15e-3 - 4e-3) / 1e-4, 3);
  EXPECT_EQ(pace.missed(), 0u);
}

TEST(Pace, FollowsPromptTokensThatGrowDearer) {
  Pace pace(20e-3);
  pace.observe(0, 8, step(0));
  double token_seconds = 1e-4;
  for (int i = 0; i < 400; ++i) { // a long prompt: attention looks at more and more keys
    const int64_t tokens = pace.prompt_tokens();
    EXPECT_LE(step(tokens, token_seconds), 20e-3) << i;
    pace.observe(tokens, 8, step(tokens, token_seconds));
    token_seconds *= 1.005;
  }
}

TEST(Pace, SaysWhereNoChunkIsSmallEnough) {
  Pace pace(3e-3);
  pace.observe(0, 8, step(0));
  pace.observe(16, 8, step(16));
  EXPECT_EQ(pace.prompt_tokens(), 1);
  pace.observe(1, 8, step(1));
  EXPECT_EQ(pace.missed(), 2u);
  pace.observe(500, 0, step(500));
  EXPECT_EQ(pace.missed(), 2u) << "nobody waited for that one";
}

TEST(Pace, OffWithoutALimit) {
  Pace pace(0);
  EXPECT_FALSE(pace.on());
  pace.observe(0, 8, 1);
  EXPECT_EQ(pace.missed(), 0u);
}

} // namespace
} // namespace llmrt
