#include "runtime/base/text.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>

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

// std::to_chars knows the shortest digits too.
template <typename T> std::string scientific_by_to_chars(T value) {
  std::array<char, 64> buffer;
  auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  return std::string(buffer.data(), end);
}

template <typename T, typename Bits> void expect_shortest(int count) {
  std::mt19937_64 random(1);
  for (int i = 0; i < count; ++i) {
    T value = std::bit_cast<T>(Bits(random()));
    if (!std::isfinite(value))
      continue;
    EXPECT_EQ(scientific_text(shortest_decimal(value)), scientific_by_to_chars(value));
    T back;
    EXPECT_TRUE(parse_number(fixed_text(shortest_decimal(value)), back));
    EXPECT_EQ(back, value);
  }
}

TEST(Text, DigitsAreTheFewest) {
  expect_shortest<double, uint64_t>(20000);
  expect_shortest<float, uint32_t>(20000);
  for (double value : {1e22, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 9007199254740993.0, 0.1, 1e23})
    EXPECT_EQ(scientific_text(shortest_decimal(value)), scientific_by_to_chars(value));
}

TEST(Text, NumbersAreFixedOrScientific) {
  EXPECT_EQ(format_number(0.0), "0");
  EXPECT_EQ(format_number(-0.0), "-0");
  EXPECT_EQ(format_number(1500.0), "1500");
  EXPECT_EQ(format_number(-1e22), "-1e+22");
  EXPECT_EQ(format_number(1e-7), "1e-07");
  EXPECT_EQ(format_number(0.00125), "0.00125");
  EXPECT_EQ(format_number(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(format_fixed(-2.5, 0), "-2");
  EXPECT_EQ(format_fixed(1e300, 1).size(), 303u);
  EXPECT_EQ(format_printf("%+0*.*e", 12, 3, 1234.5), "+001.234e+03");
}

TEST(Text, DecimalsMayOverflow) {
  double value = 0;
  EXPECT_TRUE(parse_decimal("-1e999", value));
  EXPECT_EQ(value, -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(parse_number("1e-999", value));
  EXPECT_EQ(value, 0);
  for (const char *bad : {"0x1p3", "infinity", ".", "1e", "e5", "--1", "+1", " 1"})
    EXPECT_FALSE(parse_decimal(bad, value)) << bad;
  EXPECT_TRUE(parse_decimal(".5", value));
  EXPECT_TRUE(parse_decimal("5.", value));
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
