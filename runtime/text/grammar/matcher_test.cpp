// Masks against the plainest way to get them: every token tried by itself.
#include "runtime/text/grammar/matcher.h"

#include "runtime/text/grammar/gbnf.h"
#include "runtime/text/grammar/regex.h"
#include "runtime/text/grammar/testing/grammar_testing.h"

#include <gmock/gmock.h>
#include <random>

namespace llmrt::grammar {
namespace {

constexpr int32_t kEnd = 3000, kVocabulary = 3001;

// All bytes, and words of the given characters.
std::shared_ptr<const TokenTrie> wordy_trie(std::string_view characters, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (int32_t id = 0; id < kEnd; ++id) {
    std::string word(1, char(id));
    if (id >= 256) {
      word.clear();
      for (size_t i = random() % 6 + 1; i > 0; --i) word += characters[random() % characters.size()];
    }
    tokens.emplace_back(word, id);
  }
  return TokenTrie::of(std::move(tokens), kVocabulary);
}

bool allowed(std::span<const uint32_t> mask, int32_t id) { return mask[size_t(id) / 32] >> (id % 32) & 1; }

// Walks at random, comparing every mask.
void check_masks(Result<Grammar> source, std::string_view characters, uint32_t seed) {
  const auto trie = wordy_trie(characters, seed);
  const auto grammar = testing::compiled(std::move(source), trie);
  ASSERT_TRUE(grammar);
  std::mt19937 random(seed);
  Matcher matcher(grammar, {kEnd});
  std::string text;
  for (int step = 0; step < 20 && !matcher.finished(); ++step) {
    auto mask = matcher.mask();
    ASSERT_TRUE(mask.ok()) << mask.status().message();
    std::vector<int32_t> next;
    for (int32_t id = 0; id < kEnd; ++id) {
      Matcher alone(grammar, {});
      ASSERT_TRUE(alone.accept_bytes(text).ok());
      const bool may = alone.accept_bytes(trie->bytes_of(id)).ok();
      ASSERT_EQ(allowed(*mask, id), may) << "after " << text << ": " << trie->bytes_of(id);
      if (may) next.push_back(id);
    }
    ASSERT_EQ(allowed(*mask, kEnd), matcher.may_end());
    if (next.empty()) break;
    const int32_t id = next[random() % next.size()];
    ASSERT_TRUE(matcher.accept(id).ok());
    text += trie->bytes_of(id);
  }
}

TEST(Matcher, MasksAreExact) {
  for (uint32_t seed = 1; seed <= 2; ++seed) {
    check_masks(gbnf_grammar("root ::= v\nv ::= \"[\" (v (\",\" v)*)? \"]\" | [ab]+ | \"\\\"\" [^\"]* \"\\\"\""),
                "ab[],\"", seed);
    check_masks(gbnf_grammar("root ::= e\ne ::= t (\"+\" e)?\nt ::= \"a\" | \"(\" e \")\" | \"a\" t?"), "a+()", seed);
    check_masks(regex_grammar("([ab]{2,300}c){3,200}"), "abc", seed);
    check_masks(regex_grammar("[^x]{1,2000}x"), "abx\xc3\xa9", seed);
    check_masks(regex_grammar("(ab|ba){200,203}"), "ab", seed);
    check_masks(regex_grammar("(a|b)*a(a|b){20}"), "ab", seed);
  }
}

TEST(Matcher, Ends) {
  const auto trie = wordy_trie("ab", 1);
  Matcher matcher(testing::compiled(regex_grammar("ab?"), trie), {kEnd});
  EXPECT_FALSE(allowed(*matcher.mask(), kEnd));
  EXPECT_FALSE(matcher.accept(kEnd).ok());
  EXPECT_FALSE(matcher.accept('b').ok());
  ASSERT_TRUE(matcher.accept('a').ok());
  EXPECT_TRUE(allowed(*matcher.mask(), kEnd));
  EXPECT_TRUE(allowed(*matcher.mask(), 'b'));
  EXPECT_FALSE(matcher.finished());
  ASSERT_TRUE(matcher.accept(kEnd).ok());
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.accept('b').ok());
}

TEST(Matcher, NoTokenFits) { // the grammar goes on, the vocabulary cannot
  const auto trie = TokenTrie::of({{"a", 0}, {"ab", 1}}, 2);
  Matcher matcher(testing::compiled(regex_grammar("ac"), trie), {});
  ASSERT_TRUE(matcher.accept(0).ok());
  const auto mask = matcher.mask();
  ASSERT_TRUE(mask.ok());
  EXPECT_EQ((*mask)[0], 0u);
  EXPECT_FALSE(matcher.finished());
}

TEST(Matcher, TrieOrder) {
  const auto trie = TokenTrie::of({{"b", 3}, {"a", 0}, {"ab", 1}, {"a", 2}, {"abc", 5}}, 6);
  EXPECT_EQ(trie->size(), 4u);
  EXPECT_THAT(std::vector<int32_t>(trie->tokens_at(0).begin(), trie->tokens_at(0).end()), ::testing::ElementsAre(0, 2));
  EXPECT_EQ(trie->node(0).skip, 3u);
  EXPECT_EQ(trie->bytes_of(5), "abc");
  EXPECT_EQ(trie->bytes_of(4), "");
  EXPECT_EQ(trie->longest(), 3u);
}

} // namespace
} // namespace llmrt::grammar
