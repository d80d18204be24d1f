#include "runtime/server/fields.h"

#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

std::optional<ApiError> read(const char *text, void (*body)(FieldReader &)) {
  Json json = Json::parse(text);
  FieldReader fields(json);
  body(fields);
  return fields.finish();
}

TEST(FieldReader, TakesValuesOfTheRightType) {
  Json json = Json::parse(R"({"b":true,"i":5.0,"n":0.25,"s":"x","list":["a","b"],"ids":[1,2],"gone":null})");
  FieldReader fields(json);
  EXPECT_EQ(fields.boolean("b"), true);
  EXPECT_EQ(fields.integer("i", 0, 10), 5);
  EXPECT_EQ(fields.number("n", 0, 1), 0.25);
  EXPECT_EQ(fields.string("s"), "x");
  EXPECT_EQ(fields.string_or_list("list", 4), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.ids("ids", 4), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(fields.integer("gone", 0, 1), std::nullopt);
  EXPECT_EQ(fields.integer("absent", 0, 1), std::nullopt);
  EXPECT_FALSE(fields.finish().has_value());
}

TEST(FieldReader, AnUnknownFieldIsNamed) {
  auto error = read(R"({"a":1,"zeta":2})", [](FieldReader &fields) { (void)fields.integer("a", 0, 9); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->status, 400);
  EXPECT_EQ(error->param, "zeta");
}

TEST(FieldReader, WrongTypesAreNamed) {
  for (const char *text : {R"({"a":"5"})", R"({"a":true})", R"({"a":5.5})", R"({"a":[5]})", R"({"a":{}})",
                           R"({"a":1e300})", R"({"a":18446744073709551615})"}) {
    auto error = read(text, [](FieldReader &fields) { (void)fields.integer("a", INT64_MIN, INT64_MAX); });
    ASSERT_TRUE(error.has_value()) << text;
    EXPECT_EQ(error->param, "a") << text;
  }
  auto error = read(R"({"a":1})", [](FieldReader &fields) { (void)fields.boolean("a"); });
  EXPECT_EQ(error->param, "a");
  error = read(R"({"a":[1,"x"]})", [](FieldReader &fields) { (void)fields.ids("a", 9); });
  EXPECT_EQ(error->param, "a");
  error = read(R"({"a":["x",1]})", [](FieldReader &fields) { (void)fields.string_or_list("a", 9); });
  EXPECT_EQ(error->param, "a");
}

TEST(FieldReader, RangesAreKept) {
  auto error = read(R"({"a":11})", [](FieldReader &fields) { (void)fields.integer("a", 0, 10); });
  ASSERT_TRUE(error.has_value());
  EXPECT_NE(error->message.find("from 0 to 10, not 11"), std::string::npos) << error->message;
  error = read(R"({"a":-0.5})", [](FieldReader &fields) { (void)fields.number("a", 0, 1); });
  ASSERT_TRUE(error.has_value());
}

TEST(FieldReader, TheFirstMistakeCounts) {
  auto error = read(R"({"a":"x","b":"y","c":1})", [](FieldReader &fields) {
    (void)fields.integer("a", 0, 1);
    (void)fields.integer("b", 0, 1);
  });
  EXPECT_EQ(error->param, "a");
}

TEST(FieldReader, NeutralValuesOfUnsupportedFieldsPass) {
  auto body = [](FieldReader &fields) {
    fields.refuse_unless("beam", false);
    fields.refuse({"grammar"});
  };
  EXPECT_FALSE(read(R"({"beam":false,"grammar":null})", body).has_value());
  EXPECT_EQ(read(R"({"beam":true})", body)->param, "beam");
  EXPECT_EQ(read(R"({"grammar":"root ::= x"})", body)->param, "grammar");
}

TEST(FieldReader, ABodyThatIsNoObjectIsRefused) {
  for (const char *text : {"[]", "1", "null", "\"x\""})
    EXPECT_EQ(read(text, [](FieldReader &fields) { (void)fields.string("a"); })->status, 400) << text;
}

} // namespace
} // namespace llmrt::server
