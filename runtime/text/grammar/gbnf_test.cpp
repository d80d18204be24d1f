#include "runtime/text/grammar/gbnf.h"

#include "runtime/text/grammar/testing/grammar_testing.h"

#include <gmock/gmock.h>

namespace llmrt::grammar {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::matches;

constexpr std::string_view kJson = R"(# JSON
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
)";

TEST(Gbnf, Json) {
  const auto grammar = testing::compiled(gbnf_grammar(kJson), testing::byte_trie());
  EXPECT_TRUE(matches(grammar, "{}"));
  EXPECT_TRUE(matches(grammar, R"({"a": [1, -2.5e3, {"b": "x\u00e9\n"}], "c": null})"));
  EXPECT_FALSE(matches(grammar, "[]"));
  EXPECT_FALSE(matches(grammar, R"({"a": [1,})"));
  EXPECT_FALSE(matches(grammar, "{\"a\": \"\x01\"}"));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 2000; ++i) deep += "[";
  for (int i = 0; i < 2000; ++i) deep += "]";
  EXPECT_TRUE(matches(grammar, deep + "}"));
}

TEST(Gbnf, Forms) {
  EXPECT_TRUE(matches(gbnf_grammar("root ::= \"a\"\n  | \"b\" # or\n\nx ::= \"y\"\n"), "b"));
  EXPECT_TRUE(matches(gbnf_grammar("root ::= x{2} y{1,} z{0,2}\nx ::= [ab]\ny ::= .\nz ::= \"\\u00e9\""), "abc\xc3\xa9"));
  EXPECT_TRUE(matches(gbnf_grammar("root ::= [^\\]\\-]+"), "a[b"));
  EXPECT_FALSE(matches(gbnf_grammar("root ::= [^\\]\\-]+"), "a-b"));
  EXPECT_TRUE(matches(gbnf_grammar("root ::= (\"a\" |)\n"), ""));
}

TEST(Gbnf, Recursion) {
  EXPECT_TRUE(matches(gbnf_grammar("root ::= \"(\" root \")\" | \"\""), "((()))"));
  EXPECT_FALSE(matches(gbnf_grammar("root ::= \"(\" root \")\" | \"\""), "(()))"));
  const auto list = testing::compiled(gbnf_grammar("root ::= \"x\" root | \"x\""), testing::byte_trie());
  EXPECT_TRUE(matches(list, std::string(300000, 'x'))); // to the right: the stack does not grow
  EXPECT_TRUE(matches(gbnf_grammar("root ::= root \"+\" n | n\nn ::= [0-9]+"), "1+22+3"));
  EXPECT_FALSE(matches(gbnf_grammar("root ::= root \"+\" n | n\nn ::= [0-9]+"), "1+"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= a \"x\"\na ::= b \"y\" | \"z\"\nb ::= \"\" a")),
              HasSubstr("calls itself, through other rules, before anything is matched"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= \"a\" root")), HasSubstr("can never end"));
}

TEST(Gbnf, Ambiguous) { // many ways, few stacks
  const auto grammar =
      testing::compiled(gbnf_grammar("root ::= e\ne ::= t (\"+\" e)?\nt ::= \"a\" | \"(\" e \")\" | \"a\" t?"),
                        testing::byte_trie());
  EXPECT_TRUE(matches(grammar, "(aaaa+aaa+(aa))+a"));
  const auto doubling = testing::compiled(gbnf_grammar("root ::= \"a\" root root | \"a\""), testing::byte_trie());
  Matcher matcher(doubling, {});
  (void)matcher.accept_bytes(std::string(5000, 'a')).ok(); // deep as well: an answer, or a clear error
  EXPECT_TRUE(matches(doubling, "aaa"));
}

TEST(Gbnf, Errors) {
  EXPECT_THAT(error_of(gbnf_grammar("root := \"a\"")), HasSubstr("line 1, column 6: ::= is expected"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= x")), HasSubstr("the rule x is used but not defined"));
  EXPECT_THAT(error_of(gbnf_grammar("start ::= \"x\"")), HasSubstr("no rule named root"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= \"a\nroot ::= \"b\"")), HasSubstr("not closed"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= \"a\"\nroot ::= \"b\"")), HasSubstr("line 2, column 10: the rule root is defined twice"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= <[1]>")), HasSubstr("tokens in a grammar"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= " + std::string(3000, '('))), HasSubstr("too deep"));
  EXPECT_THAT(error_of(gbnf_grammar("root ::= \"\\q\"")), HasSubstr("escape"));
  EXPECT_THAT(error_of(gbnf_grammar("")), HasSubstr("no rule named root"));
}

} // namespace
} // namespace llmrt::grammar
