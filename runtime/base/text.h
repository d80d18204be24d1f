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
bool parse_number(std::string_view text, double &value); // finite decimal or scientific notation
bool parse_number(std::string_view text, float &value);

// The shortest decimal text that reads back as the same value.
std::string format_number(double value);
std::string format_number(float value);
std::string format_fixed(double value, int digits); // digits after the point
std::string format_bytes(uint64_t bytes);           // for people: "1.25 GiB"

std::string to_hex(std::span<const uint8_t> bytes);
std::string_view trim(std::string_view text); // white space of ASCII off both ends

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string &out, std::string_view text);

} // namespace llmrt
