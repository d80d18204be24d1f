// Numbers and strings as text, the same under every locale.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llmrt {

// The whole of `text` must be the number (decimal, an optional leading '-' for signed types); false otherwise, also
// when it does not fit. `value` is untouched then.
bool parse_integer(std::string_view text, int64_t &value);
bool parse_integer(std::string_view text, uint64_t &value);
bool parse_integer(std::string_view text, int32_t &value);
// Finite decimal or scientific notation. What is too small for the type becomes zero or a denormal number.
bool parse_number(std::string_view text, double &value);
bool parse_decimal(std::string_view text, double &value); // the same, but what is too large becomes infinite
bool parse_number(std::string_view text, float &value);

// A finite number as 0.D1 D2 D3... x 10^point, by the fewest digits that read back as the same value ("0" of zero).
struct Decimal {
  bool negative = false;
  std::string digits;
  int point = 0;
};
Decimal shortest_decimal(double value);
Decimal shortest_decimal(float value);
std::string fixed_text(const Decimal &number);      // "-0.00125", "1500000"
std::string scientific_text(const Decimal &number); // "-1.25e-03", at least two digits of exponent

// Those digits as people write them, in fixed or scientific notation, whichever is shorter; "nan", "inf", "-inf".
std::string format_number(double value);
std::string format_number(float value);
std::string format_fixed(double value, int digits); // digits after the point, at most 100
// What printf makes of the value with a format of flags, "*.*" and one of eEfFgG.
std::string format_printf(const char *format, int width, int precision, double value);
std::string format_bytes(uint64_t bytes);           // for people: "1.25 GiB"

std::string to_hex(std::span<const uint8_t> bytes);
std::string_view trim(std::string_view text); // white space of ASCII off both ends

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string &out, std::string_view text);

} // namespace llmrt
