#include "compiler/import/Json.h"
#include "compiler/import/TestFiles.h"

#include <gmock/gmock.h>

using namespace llmc;
using testing::HasSubstr;

namespace {

std::string errorOf(llvm::StringRef text) {
  auto value = parseJsonObject(text, "config.json");
  return value ? "" : llvm::toString(value.takeError());
}

TEST(Json, TakesObjects) {
  auto value = parseJsonObject(R"({"a": [1, 2.5, null, "\u00e4"]})", "x");
  ASSERT_TRUE(bool(value));
  EXPECT_EQ((*value)["a"][1], 2.5);
}

TEST(Json, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(errorOf("[1]"), HasSubstr("config.json: must be a JSON object, found array"));
  EXPECT_THAT(errorOf("3"), HasSubstr("found number"));
  EXPECT_THAT(errorOf(""), HasSubstr("not JSON"));
  EXPECT_THAT(errorOf("{\"a\": 1"), HasSubstr("byte 8"));
  EXPECT_THAT(errorOf("{\"a\": 1} x"), HasSubstr("not JSON"));
  EXPECT_THAT(errorOf("{\"a\": \"\xff\"}"), HasSubstr("not JSON"));
  EXPECT_THAT(errorOf("{\"a\": 1e999}"), HasSubstr("not JSON"));
}

TEST(Json, DepthIsLimited) {
  auto nested = [](int depth) {
    return "{\"a\": " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_EQ(errorOf(nested(kMaxJsonDepth)), "");
  EXPECT_THAT(errorOf(nested(kMaxJsonDepth + 1)), HasSubstr("nested more than 64"));
  EXPECT_THAT(errorOf(std::string(10'000'000, '[')), HasSubstr("nested more than"));
  EXPECT_EQ(errorOf("{\"a\": \"" + std::string(100, '[') + "\\\"[\"}"), ""); // brackets in strings do not count
}

TEST(Json, FilesAreLimited) {
  TestFolder folder;
  std::string file = folder.write("a.json", "{\"a\": 1}");
  auto text = readTextFile(file, 100);
  ASSERT_TRUE(bool(text));
  EXPECT_EQ(**text, "{\"a\": 1}");
  EXPECT_THAT(llvm::toString(readTextFile(file, 7).takeError()), HasSubstr("8 bytes is more than"));
  EXPECT_THAT(llvm::toString(readTextFile(folder.path(), 7).takeError()), HasSubstr("not a regular file"));
  auto none = readTextFile(folder.path("none"), 7);
  ASSERT_TRUE(bool(none));
  EXPECT_FALSE(none->has_value());
}

TEST(Json, NamesInMessagesArePrintable) {
  EXPECT_EQ(printable(llvm::StringRef("a\n\x1b\0z", 5)), "a\\x0a\\x1b\\x00z");
  EXPECT_EQ(printable(std::string(500, 'x')).size(), 203u);
}

} // namespace
