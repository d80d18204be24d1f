#include "runtime/server/json.h"

#include "runtime/server/error.h"
#include "runtime/server/sse.h"

#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

TEST(Json, MistakesHaveAPlace) {
  Result<Json> json = parse_json("{\"a\":}");
  ASSERT_FALSE(json.ok());
  EXPECT_NE(json.status().message().find("column 6"), std::string::npos) << json.status().message();
}

TEST(Json, DepthIsBounded) {
  std::string shallow(kMaxJsonDepth, '['), deep(1 << 20, '[');
  EXPECT_TRUE(parse_json(shallow + std::string(kMaxJsonDepth, ']')).ok());
  EXPECT_FALSE(parse_json(deep).ok());
  std::string objects;
  for (int i = 0; i < 100000; ++i)
    objects += "{\"a\":";
  EXPECT_FALSE(parse_json(objects).ok());
  EXPECT_TRUE(parse_json("\"" + std::string(1000, '[') + "\"").ok()) << "brackets in a string do not count";
  EXPECT_TRUE(parse_json("\"\\\"" + std::string(1000, '[') + "\"").ok()) << "nor after an escaped quote";
}

TEST(Json, TextMustBeUtf8) {
  EXPECT_FALSE(parse_json("\"\xFF\"").ok());
  EXPECT_FALSE(parse_json("\"\xC0\x80\"").ok());
  EXPECT_EQ(dump_json(Json("a\xFF")), "\"a\xEF\xBF\xBD\"");
}

TEST(Error, HasOpenAisShape) {
  EXPECT_EQ(dump_json(error_json({400, "no", "top_p", 0})),
            R"({"error":{"message":"no","type":"invalid_request_error","param":"top_p","code":400}})");
  EXPECT_EQ(error_json({503, "full", {}, 1})["error"]["param"], nullptr);
  EXPECT_EQ(error_of_status({StatusCode::kExhausted, "full"}).status, 503);
  EXPECT_EQ(error_of_status({StatusCode::kExhausted, "full"}).retry_after, 1);
  EXPECT_EQ(error_of_status({StatusCode::kInternal, "x"}).status, 500);
}

TEST(Sse, AnEventIsOneLineHoweverManyLinesItsTextHas) {
  EXPECT_EQ(sse_event(Json{{"text", "a\nb\r\nc"}}), "data: {\"text\":\"a\\nb\\r\\nc\"}\n\n");
}

} // namespace
} // namespace llmrt::server
