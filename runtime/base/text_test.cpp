#include "runtime/base/text.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace llmrt {
namespace {

TEST(Text, IntegersMustBeWhole) {
  int64_t value = 7;
  EXPECT_TRUE(parse_integer("-12", value));
  EXPECT_EQ(value, -12);
  for (const char *bad : {"", "-", "1x", " 1", "1 ", "+1", "0x10", "9223372036854775808", "1.0"}) {
    EXPECT_FALSE(parse_integer(bad, value)) << bad;
    EXPECT_EQ(value, -12) << bad;
  }
  uint64_t large = 0;
  EXPECT_TRUE(parse_integer("18446744073709551615", large));
  EXPECT_EQ(large, std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(parse_integer("-1", large));
}

TEST(Text, NumbersAreFinite) {
  double value = 0;
  EXPECT_TRUE(parse_number("1e-3", value));
  EXPECT_EQ(value, 1e-3);
  for (const char *bad : {"", "nan", "inf", "1e999", "1,5", "1.5 "})
    EXPECT_FALSE(parse_number(bad, value)) << bad;
}

TEST(Text, NumbersReadBack) {
  for (double value : {0.1, 1.0 / 3, 1e300, -5e-324, 0.0}) {
    double back = 1;
    ASSERT_TRUE(parse_number(format_number(value), back));
    EXPECT_EQ(back, value);
  }
  EXPECT_EQ(format_number(0.1f), "0.1");
  EXPECT_EQ(format_fixed(2.0 / 3, 3), "0.667");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
}

TEST(Text, HexAndTrim) {
  std::array<uint8_t, 3> bytes = {0, 0xAB, 0xFF};
  EXPECT_EQ(to_hex(bytes), "00abff");
  EXPECT_EQ(trim(" \t a b \n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(Text, JsonStrings) {
  auto json = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  EXPECT_EQ(json("a\"b\\\n\x01"), "\"a\\\"b\\\\\\n\\u0001\"");
  EXPECT_EQ(json("h\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), "\"h\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  // Overlong, surrogate, truncated, lone tail.
  EXPECT_EQ(json("\xC0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(json("\xED\xA0\x80x"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDx\"");
  EXPECT_EQ(json("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

} // namespace
} // namespace llmrt
