#include "runtime/session/stop_matcher.h"

#include <gtest/gtest.h>

namespace llmrt {
namespace {

TEST(StopMatcher, WithoutStopsEverythingPassesAtOnce) {
  StopMatcher matcher;
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.finish(), "");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, CutsAtTheStopString) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("one END two"), "one ");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.match(), "END");
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, IncludesItWhenAsked) {
  StopMatcher matcher({"END"}, true);
  EXPECT_EQ(matcher.push("one END two"), "one END");
}

TEST(StopMatcher, HoldsBackAPartialMatch) {
  StopMatcher matcher({"</s>"});
  EXPECT_EQ(matcher.push("hi<"), "hi");
  EXPECT_EQ(matcher.push("/"), "");
  EXPECT_EQ(matcher.push("s"), "");
  EXPECT_EQ(matcher.push(">x"), "");
  EXPECT_TRUE(matcher.matched());
}

TEST(StopMatcher, ReleasesWhatDoesNotBecomeAMatch) {
  StopMatcher matcher({"</s>"});
  EXPECT_EQ(matcher.push("a</"), "a");
  EXPECT_EQ(matcher.push("b"), "</b");
  EXPECT_EQ(matcher.push("</s"), "");
  EXPECT_EQ(matcher.finish(), "</s");
}

TEST(StopMatcher, TheEarliestOfSeveralWins) {
  StopMatcher matcher({"world", "lo w"});
  EXPECT_EQ(matcher.push("hello world"), "hel");
  EXPECT_EQ(matcher.match(), "lo w");
}

TEST(StopMatcher, HoldsTheLongestOfOverlappingBeginnings) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.push("aa"), "");
  EXPECT_EQ(matcher.push("a"), "a"); // "aa" may still become "aab"
  EXPECT_EQ(matcher.push("b"), "");
  EXPECT_TRUE(matcher.matched());
}

TEST(StopMatcher, EverySplitOfATextGivesTheSame) {
  const std::string text = "xaabaabaaabxaab!";
  for (size_t first = 0; first <= text.size(); ++first)
    for (size_t second = first; second <= text.size(); ++second) {
      StopMatcher matcher({"abx", "aab!"});
      std::string out = matcher.push(std::string_view(text).substr(0, first));
      out += matcher.push(std::string_view(text).substr(first, second - first));
      out += matcher.push(std::string_view(text).substr(second));
      out += matcher.finish();
      EXPECT_EQ(out, "xaabaabaa") << first << " " << second;
    }
}

TEST(StopMatcher, UnsearchedTextPassesWithWhatWasHeld) {
  StopMatcher matcher({"ab"});
  EXPECT_EQ(matcher.push_unsearched("ab"), "ab");
  EXPECT_EQ(matcher.push("a"), "");
  EXPECT_EQ(matcher.push_unsearched("b"), "ab");
  EXPECT_FALSE(matcher.matched());
}

} // namespace
} // namespace llmrt
