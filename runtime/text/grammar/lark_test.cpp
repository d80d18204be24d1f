#include "runtime/text/grammar/lark.h"

#include "runtime/text/grammar/testing/grammar_testing.h"
#include "runtime/text/grammar/text_until.h"

#include <gmock/gmock.h>

namespace llmrt::grammar {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::matches;

TEST(Lark, Calculator) {
  const auto grammar = testing::compiled(lark_grammar(R"_(
    // sums
    ?start: sum
    ?sum: product
        | sum "+" product   -> add
        | sum "-" product   -> sub
    ?product: atom
        | product "*" atom  -> mul
    atom: NUMBER | "-" atom | NAME | "(" sum ")"
    NAME.2: /[a-z_]\w*/
    %import common.NUMBER
    %import common.WS_INLINE
    %ignore WS_INLINE
    )_"),
                                         testing::byte_trie());
  EXPECT_TRUE(matches(grammar, " 1 + 2.5e3 * ( x_1 - -4 ) "));
  EXPECT_FALSE(matches(grammar, "1 +"));
  EXPECT_FALSE(matches(grammar, "(1"));
  EXPECT_TRUE(matches(grammar, "a+b*c"));
}

TEST(Lark, Forms) {
  const auto grammar = testing::compiled(lark_grammar("start: \"SELECT\"i [A] (\"x\"~2 | \"y\"~1..3) B?\nA: \"a\"..\"f\"+\n"
                                                      "B: /[^\\/\\]]/ \"\\u00e9\""),
                                         testing::byte_trie());
  EXPECT_TRUE(matches(grammar, "selECTabcxx"));
  EXPECT_TRUE(matches(grammar, "SELECTyyyq\xc3\xa9"));
  EXPECT_FALSE(matches(grammar, "SELECTyyyy"));
  EXPECT_FALSE(matches(grammar, "SELECTx"));
}

TEST(Lark, Errors) {
  EXPECT_THAT(error_of(lark_grammar("begin: \"a\"")), HasSubstr("no rule named start"));
  EXPECT_THAT(error_of(lark_grammar("start: x")), HasSubstr("the rule x is used but not defined"));
  EXPECT_THAT(error_of(lark_grammar("start \"a\"")), HasSubstr("line 1, column 7: a : is expected"));
  EXPECT_THAT(error_of(lark_grammar("start: /a/i")), HasSubstr("flag is not supported"));
  EXPECT_THAT(error_of(lark_grammar("start: a{b}")), HasSubstr("a template is not supported"));
  EXPECT_THAT(error_of(lark_grammar("%declare X")), HasSubstr("this directive is not supported"));
  EXPECT_THAT(error_of(lark_grammar("%import common.XYZ\nstart: XYZ")), HasSubstr("no common.XYZ"));
  EXPECT_THAT(error_of(lark_grammar("start: /(?=a)/")), HasSubstr("look-around"));
  EXPECT_THAT(error_of(lark_grammar("start: \"a\nb\"")), HasSubstr("not closed"));
  EXPECT_THAT(error_of(lark_grammar("start: " + std::string(3000, '('))), HasSubstr("too deep"));
}

bool until(bool with_mark, std::string_view text) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, with_mark ? text_until(grammar, "</think>") : text_without(grammar, "</think>"));
  return matches(Result<Grammar>(std::move(grammar)), text);
}

TEST(TextUntil, Marks) {
  for (const char *text : {"", "a", "<", "<</", "</think", "</thin<k", "x</think x", "<</</t</th>", "\xc3\xa9<"}) {
    EXPECT_TRUE(until(false, text)) << text;
    EXPECT_TRUE(until(true, std::string(text) + "</think>")) << text;
    EXPECT_FALSE(until(true, text)) << text;
  }
  EXPECT_FALSE(until(false, "a</think>"));
  EXPECT_FALSE(until(false, "<</think>b"));
  EXPECT_FALSE(until(true, "a</think>b</think>"));
}

} // namespace
} // namespace llmrt::grammar
