#include "runtime/text/grammar/regex.h"

#include "runtime/text/grammar/testing/grammar_testing.h"

#include <gmock/gmock.h>

namespace llmrt::grammar {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::matches;

bool whole(std::string_view pattern, std::string_view text) { return matches(regex_grammar(pattern), text); }

bool search(std::string_view pattern, std::string_view text) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  Result<NodeId> body = add_regex(grammar, pattern, RegexMatch::kSearch, Spelling::kPlain);
  if (!body.ok()) {
    ADD_FAILURE() << body.status().message();
    return false;
  }
  grammar.define(root, *body);
  return matches(Result<Grammar>(std::move(grammar)), text);
}

TEST(Regex, Texts) {
  EXPECT_TRUE(whole("abc", "abc"));
  EXPECT_FALSE(whole("abc", "ab"));
  EXPECT_FALSE(whole("abc", "abcd"));
  EXPECT_TRUE(whole("", ""));
  EXPECT_TRUE(whole("a|b|", ""));
  EXPECT_TRUE(whole("(a|bc)*d", "abcad"));
  EXPECT_TRUE(whole("a{2,3}", "aa"));
  EXPECT_TRUE(whole("a{2,3}", "aaa"));
  EXPECT_FALSE(whole("a{2,3}", "a"));
  EXPECT_FALSE(whole("a{2,3}", "aaaa"));
  EXPECT_TRUE(whole("a{2}", "aa"));
  EXPECT_TRUE(whole("a{2,}", "aaaaa"));
  EXPECT_TRUE(whole("a{,2}b", "b"));
  EXPECT_TRUE(whole("a{x}", "a{x}"));
  EXPECT_TRUE(whole("a+?b??", "aab"));
  EXPECT_TRUE(whole("(?:x)(?<n>y)(?P<m>z)", "xyz"));
  EXPECT_TRUE(whole("[a-c-]+", "a-c"));
  EXPECT_TRUE(whole("[^a-c]", "\xc3\xa9"));
  EXPECT_FALSE(whole("[^a-c]", "b"));
  EXPECT_TRUE(whole(".", "\xf0\x9f\x98\x80"));
  EXPECT_FALSE(whole(".", "\n"));
  EXPECT_FALSE(whole(".", "\xff"));
  EXPECT_TRUE(whole("\\d\\D\\w\\W\\s\\S", "1a_- x"));
  EXPECT_TRUE(whole("[[:alpha:]][[:digit:]]", "q7"));
  EXPECT_TRUE(whole("\\x41\\u00e9\\u{1F600}\\.\\n", "A\xc3\xa9\xf0\x9f\x98\x80.\n"));
  EXPECT_TRUE(whole("\\ud83d\\ude00", "\xf0\x9f\x98\x80"));
  EXPECT_TRUE(whole("[\\b\\]]", "]"));
}

TEST(Regex, Anchors) {
  EXPECT_TRUE(whole("^a$", "a"));
  EXPECT_TRUE(whole("^a$|^b$", "b"));
  EXPECT_TRUE(whole("^(a|b$)", "b"));
  EXPECT_THAT(error_of(regex_grammar("a^")), HasSubstr("byte 2: ^ is only supported at the start"));
  EXPECT_THAT(error_of(regex_grammar("a$b")), HasSubstr("$ is only supported at the end"));
  EXPECT_THAT(error_of(regex_grammar("(a$)b")), HasSubstr("$ is only supported at the end"));
  EXPECT_THAT(error_of(regex_grammar("(a$|c)b")), HasSubstr("$ is only supported at the end"));
  EXPECT_THAT(error_of(regex_grammar("(a$)*")), HasSubstr("$ is only supported at the end"));
  EXPECT_THAT(error_of(regex_grammar("(^a)*")), HasSubstr("cannot be repeated"));
  EXPECT_TRUE(search("b", "abc"));
  EXPECT_TRUE(search("^b", "bc"));
  EXPECT_FALSE(search("^b", "abc"));
  EXPECT_FALSE(search("b$", "abc"));
  EXPECT_TRUE(search("^a|c$", "xxc"));
  EXPECT_TRUE(search("^(a|b)$", "b"));
  EXPECT_FALSE(search("^(a|b)$", "bb"));
}

TEST(Regex, Counted) { // too many states to write out
  const auto grammar = testing::compiled(regex_grammar("[^\"]{3,5000}"), testing::byte_trie());
  ASSERT_LT(grammar->automaton().size(), 200u);
  EXPECT_FALSE(matches(grammar, "ab"));
  EXPECT_TRUE(matches(grammar, "abc"));
  EXPECT_TRUE(matches(grammar, std::string(5000, 'x')));
  EXPECT_FALSE(matches(grammar, std::string(5001, 'x')));
  EXPECT_TRUE(whole("(\\w{0,600}-){2,400}", std::string(300, '-')));
  EXPECT_FALSE(whole("(\\w{0,600}-){2,400}", "abc-"));
  EXPECT_TRUE(whole("(a?){900}", ""));
  EXPECT_TRUE(whole("(a?){900}", std::string(900, 'a')));
  EXPECT_FALSE(whole("(a?){900}", std::string(901, 'a')));
  EXPECT_TRUE(whole("(abc){700,}", [] {
    std::string text;
    for (int i = 0; i < 800; ++i) text += "abc";
    return text;
  }()));
}

TEST(Regex, Refused) {
  for (auto [pattern, what] : {std::pair("(?=a)", "look-around"), {"(?<!a)b", "look-around"}, {"(a)\\1", "back reference"},
                               {"\\bword", "word boundary"}, {"(?i)a", "flags"}, {"a++", "possessive"},
                               {"(?>a)", "atomic"}, {"\\p{L}", "\\p"}, {"[a", "not closed"}, {"(a", "not closed"},
                               {"a)", "without its ("}, {"*a", "nothing before"}, {"a**", "follows another"},
                               {"a{3,2}", "m above n"}, {"[z-a]", "ends before"}, {"\\", "at the end"},
                               {"\\u12", "hexadecimal"}, {"[^\\w\\W]", "no character"}})
    EXPECT_THAT(error_of(regex_grammar(pattern)), HasSubstr(what)) << pattern;
  EXPECT_THAT(error_of(regex_grammar(std::string(5000, '('))), HasSubstr("too deep"));
  EXPECT_THAT(error_of(regex_grammar("((((((a{999}){999}){999}){999}){999}){999}b{9999999})")), "");
  EXPECT_THAT(error_of(regex_grammar("\xff")), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of(regex_grammar(std::string(20000, 'a'))), HasSubstr("longer than 16384"));
}

TEST(Regex, ManySubsets) { // 2^30 subsets: the states stay as they are
  const auto grammar = testing::compiled(regex_grammar("(a|b)*a(a|b){30}"), testing::byte_trie());
  EXPECT_TRUE(matches(grammar, "bbba" + std::string(30, 'b')));
  EXPECT_FALSE(matches(grammar, "abbb" + std::string(30, 'b')));
}

} // namespace
} // namespace llmrt::grammar
