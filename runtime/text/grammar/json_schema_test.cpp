#include "runtime/text/grammar/json_schema.h"

#include "runtime/text/grammar/testing/grammar_testing.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace llmrt::grammar {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

std::shared_ptr<CompiledGrammar> schema(const char *text) {
  return testing::compiled(json_schema_grammar(Json::parse(text)), testing::byte_trie());
}

void expect(const char *text, std::initializer_list<const char *> valid, std::initializer_list<const char *> invalid) {
  const auto grammar = schema(text);
  ASSERT_TRUE(grammar) << text;
  for (const char *one : valid) EXPECT_TRUE(testing::matches(grammar, one)) << text << " and " << one;
  for (const char *one : invalid) EXPECT_FALSE(testing::matches(grammar, one)) << text << " and " << one;
}

std::string refusal(const char *text) { return testing::error_of(json_schema_grammar(Json::parse(text))); }

TEST(JsonSchema, Anything) {
  expect("true", {"{}", "[1, 2.5e-3, {\"a\": null}]", "\"\\u00e9\\ud83d\\ude00\\n\"", "-0.5", "true"},
         {"", "{a:1}", "[1,]", "01", "1.", "\"\\ud83d\"", "\"\n\"", "nul", " 1", "{\"a\":1,}"});
  expect("{}", {"1"}, {"x"});
  expect(R"({"type": "object"})", {"{}", "{\"a\" : [ 1 ], \"b\":{}}", "{\n    \"a\": 1\n}"}, {"[]", "1"});
  EXPECT_TRUE(testing::matches(json_object_grammar(), "{\"x\":[]}"));
}

TEST(JsonSchema, Scalars) {
  expect(R"({"type": "string", "minLength": 2, "maxLength": 3})", {"\"ab\"", "\"\xc3\xa9\\n\\u00e9\""},
         {"\"a\"", "\"abcd\"", "ab"});
  expect(R"({"type": "string", "maxLength": 1000})", {"\"\"", "\"abc\""}, {"1"});
  expect(R"({"type": ["boolean", "null"]})", {"true", "null"}, {"0"});
  expect(R"({"enum": ["a\"b", 1, null, [1, {"x": 2}]]})", {"\"a\\\"b\"", "1", "null", "[1,{\"x\":2}]"}, {"a", "2"});
  expect(R"({"const": "x", "type": "string"})", {"\"x\""}, {"\"y\""});
  expect(R"({"enum": ["a", 1, 2.5], "type": "integer"})", {"1"}, {"\"a\"", "2.5"});
  expect(R"({"type": "string", "pattern": "^a\"\\d+$"})", {"\"a\\\"12\""}, {"\"a\"12\"", "\"a\\\"\""});
  expect(R"({"type": "string", "pattern": "b"})", {"\"abc\"", "\"b\""}, {"\"ac\""});
  expect(R"({"type": "string", "format": "date"})", {"\"2024-02-28\""}, {"\"2024-02-30\"", "\"2024-13-01\""});
  expect(R"({"type": "string", "format": "date-time"})", {"\"2024-02-28T10:00:00Z\""}, {"\"2024-02-28\""});
  expect(R"({"type": "string", "format": "uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"x\""});
}

TEST(JsonSchema, Integers) {
  expect(R"({"type": "integer"})", {"0", "-12", "1234567890123456"}, {"1.5", "01", "-", "1e3"});
  struct Range {
    const char *text;
    int low, high;
  };
  for (const Range &range : {Range{R"({"type":"integer","minimum":-13,"maximum":107})", -13, 107},
                             Range{R"({"type":"integer","exclusiveMinimum":9,"exclusiveMaximum":1001})", 10, 1000},
                             Range{R"({"type":"integer","minimum":-250,"maximum":-38})", -250, -38},
                             Range{R"({"type":"integer","minimum":0.5,"maximum":19.5})", 1, 19},
                             Range{R"({"type":"integer","minimum":-0.5,"exclusiveMaximum":1})", 0, 0},
                             Range{R"({"type":"integer","minimum":95})", 95, 99999},
                             Range{R"({"type":"integer","maximum":7})", -99999, 7},
                             Range{R"({"type":"integer","exclusiveMinimum":-1})", 0, 99999}}) {
    const auto grammar = schema(range.text);
    for (int value = -1200; value <= 1200; ++value)
      EXPECT_EQ(testing::matches(grammar, std::to_string(value)), value >= range.low && value <= range.high)
          << range.text << ": " << value;
  }
  EXPECT_THAT(refusal(R"({"type":"integer","minimum":3,"maximum":2})"), HasSubstr("matches nothing"));
}

TEST(JsonSchema, Numbers) {
  struct Range {
    const char *text;
    double low, high;
    bool with_low, with_high;
  };
  for (const Range &range :
       {Range{R"({"type":"number","minimum":-1.25,"maximum":2.5})", -1.25, 2.5, true, true},
        Range{R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})", 0, 1, false, false},
        Range{R"({"type":"number","minimum":0.3,"exclusiveMaximum":0.37})", 0.3, 0.37, true, false},
        Range{R"({"type":"number","minimum":-7.5,"maximum":-1.05})", -7.5, -1.05, true, true},
        Range{R"({"type":"number","minimum":3})", 3, 1e300, true, true},
        Range{R"({"type":"number","exclusiveMaximum":-0.5})", -1e300, -0.5, true, false}}) {
    const auto grammar = schema(range.text);
    for (int i = -900; i <= 900; ++i) {
      char text[32];
      snprintf(text, sizeof text, "%.2f", i / 100.0);
      const double value = atof(text);
      if (value == 0) continue; // "-0.00" and "0.00" are one number
      const bool valid = (range.with_low ? value >= range.low : value > range.low) &&
                         (range.with_high ? value <= range.high : value < range.high);
      EXPECT_EQ(testing::matches(grammar, text), valid) << range.text << ": " << text;
    }
  }
  expect(R"({"type":"number","minimum":0,"maximum":0})", {"0", "0.0"}, {"1", "0.1", "-1"});
}

TEST(JsonSchema, Arrays) {
  expect(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", {"[1]", "[1, 2,3]", "[ 1 ]"},
         {"[]", "[1,2,3,4]", "[\"a\"]"});
  expect(R"({"type":"array","items":{"type":"integer"}})", {"[]", "[1,2,3,4,5,6]"}, {"[1,]"});
  expect(R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})",
         {"[]", "[1]", "[1,\"a\"]"}, {"[\"a\"]", "[1,\"a\",2]"});
  expect(R"({"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":2,"maxItems":3})",
         {"[1,null]", "[1,null,null]"}, {"[1]", "[1,null,null,null]"});
  expect(R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"});
  expect(R"({"type":"array","items":{"type":"boolean"},"minItems":900,"maxItems":900})", {}, {"[]", "[true]"});
}

TEST(JsonSchema, Objects) {
  expect(R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"null"}},
            "required":["b"]})",
         {R"({"b":"x"})", R"({"a":1,"b":"x","c":null})", R"({"b":"x", "c":null})", R"({ "a":1, "b" : "" })"},
         {"{}", R"({"a":1})", R"({"b":"x","a":1})", R"({"b":"x","d":1})", R"({"b":"x",})", R"({"a":1 "b":"x"})"});
  expect(R"({"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"additionalProperties":{"type":"null"}})",
         {"{}", R"({"b":1})", R"({"a":1,"b":2,"c":null,"ab":null,"":null})", R"({"c":null})"},
         {R"({"a":null})", R"({"c":1})", R"({"c":null,"a":1})"});
  expect(R"({"type":"object","additionalProperties":{"type":"integer"}})", {"{}", R"({"x":1,"y":2})"}, {R"({"x":"a"})"});
  expect(R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"x":1})"});
  expect(R"({"type":"object","properties":{},"required":["k"],"additionalProperties":true})",
         {R"({"k":1})", R"({"k":1,"z":[]})"}, {"{}", R"({"k":1,"k":2})"});
  expect(R"({"type":"object","patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false})",
         {"{}", R"({"x_a":1})"}, {R"({"y":1})"});
  expect(R"({"type":"object","propertyNames":{"enum":["p","q"]},"maxProperties":2,"minProperties":1})",
         {R"({"p":1})", R"({"q":1,"p":{}})"}, {"{}", R"({"r":1})"});
}

TEST(JsonSchema, References) {
  expect(R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},
            "l":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}}})",
         {R"({"v":1})", R"({"v":1,"l":[{"v":2,"l":[]},{"v":3}]})"}, {R"({"l":[]})", R"({"v":1,"l":[1]})"});
  expect(R"({"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["next"]})",
         {R"({"next":{"next":null}})"}, {R"({"next":1})"});
  expect(R"({"definitions":{"a/b":{"type":"null"}},"type":"array","items":{"$ref":"#/definitions/a~1b"}})", {"[null]"},
         {"[1]"});
  EXPECT_THAT(refusal(R"({"$ref":"#/$defs/none"})"), HasSubstr("#/$ref: #/$defs/none leads nowhere"));
  EXPECT_THAT(refusal(R"({"$ref":"http://x/y"})"), HasSubstr("only references inside the schema"));
  EXPECT_THAT(refusal(R"({"$ref":"#"})"), HasSubstr("can never end"));
  EXPECT_THAT(refusal(R"({"allOf":[{"$ref":"#"},{"type":"object"}]})"), HasSubstr("too deep"));
  EXPECT_THAT(refusal(R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"object","required":["a"],
                         "properties":{"a":{"$ref":"#/$defs/a"}}}}})"),
              HasSubstr("can never end"));
}

TEST(JsonSchema, Combinations) {
  expect(R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})", {"1", "\"a\""}, {"\"ab\"", "null"});
  expect(R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},
                      {"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]})",
         {R"({"k":"a","x":1})", R"({"k":"b"})"}, {R"({"k":"a"})", R"({"k":"c"})"});
  EXPECT_THAT(refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})"), HasSubstr("#/oneOf: a value may be valid"));
  expect(R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]},
                      {"properties":{"a":{"type":"integer","minimum":3},"b":{"type":"null"}},"required":["b"]}]})",
         {R"({"a":3,"b":null})"}, {R"({"a":3})", R"({"a":2,"b":null})", R"({"a":3.5,"b":null})"});
  expect(R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},
             "anyOf":[{"required":["a"]},{"required":["b"]}]})",
         {R"({"a":null})", R"({"b":null})", R"({"a":null,"b":null})"}, {"{}"});
  expect(R"({"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","minimum":5})", {"5"}, {"4"});
  expect(R"({"allOf":[{"minimum":1},{"minimum":3,"maximum":9},{"type":"integer","maximum":7}]})", {"3", "7"}, {"2", "8"});
  EXPECT_THAT(refusal(R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})"), HasSubstr("#/pattern: two different ones"));
}

TEST(JsonSchema, RefusesByName) {
  EXPECT_THAT(refusal(R"({"type":"object","properties":{"a/b":{"not":{}}}})"),
              HasSubstr("JSON schema, #/properties/a~1b/not: the keyword not is not supported"));
  for (const char *keyword : {"if", "contains", "dependentRequired", "unevaluatedProperties", "multipleOf", "$dynamicRef"})
    EXPECT_THAT(refusal((std::string("{\"") + keyword + "\":{}}").c_str()), HasSubstr(std::string("#/") + keyword));
  EXPECT_THAT(refusal(R"({"items":{"uniqueItems":true}})"), HasSubstr("#/items/uniqueItems"));
  EXPECT_THAT(refusal(R"({"type":"string","format":"regex"})"), HasSubstr("#/format: the format regex"));
  EXPECT_THAT(refusal(R"_({"type":"string","pattern":"(?=a)"})_"), HasSubstr("#/pattern: regular expression, byte 2"));
  EXPECT_THAT(refusal(R"({"type":"strin"})"), HasSubstr("#/type: there is no type strin"));
  EXPECT_THAT(refusal(R"({"type":1})"), HasSubstr("#/type"));
  EXPECT_THAT(refusal("1"), HasSubstr("must be an object"));
  EXPECT_THAT(refusal(R"({"minLength":-1,"type":"string"})"), HasSubstr("#/minLength"));
  EXPECT_THAT(refusal(R"({"enum":[1],"minimum":3})"), HasSubstr("#/minimum: beside enum"));
  EXPECT_THAT(refusal(R"({"items":[{}]})"), HasSubstr("use prefixItems"));
  EXPECT_EQ(refusal(R"({"title":"t","default":1,"x-y":2,"description":"d","uniqueItems":false})"), "");
}

TEST(JsonSchema, Hostile) {
  std::string deep = "{\"type\":\"integer\"}";
  for (int i = 0; i < 300; ++i) deep = "{\"items\":" + deep + "}";
  EXPECT_THAT(refusal(deep.c_str()), HasSubstr("too deep"));
  Json chain = Json{{"$ref", "#/$defs/0"}};
  for (int i = 0; i < 3000; ++i)
    chain["$defs"][std::to_string(i)] = Json{{"items", Json{{"$ref", "#/$defs/" + std::to_string((i + 1) % 3000)}}}};
  EXPECT_EQ(testing::error_of(json_schema_grammar(chain)), "");
  EXPECT_THAT(refusal(R"({"$ref":"#/$defs/a","$defs":{
    "a":{"properties":{"x":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]},
                       "y":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]}}},
    "b":{"properties":{"x":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]},
                       "y":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]}}}}})"),
              HasSubstr("too"));
  Json wide = Json{{"type", "object"}};
  for (int i = 0; i < 400; ++i) wide["properties"]["p" + std::to_string(i)] = Json{{"type", "string"}};
  const auto grammar = testing::compiled(json_schema_grammar(wide), testing::byte_trie());
  EXPECT_TRUE(testing::matches(grammar, R"({"p3":"a","p399":"b"})"));
  EXPECT_FALSE(testing::matches(grammar, R"({"p3":"a","p2":"b"})"));
}

} // namespace
} // namespace llmrt::grammar
