// Python's str: characters are code points, and case and white space are what Python's tables say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::chat {

std::vector<std::string_view> characters(std::string_view text);
std::vector<std::string_view> characters(std::string &&) = delete; // they would point into what is gone
size_t count_characters(std::string_view text);

bool is_space(uint32_t point);
bool is_printable(uint32_t point);
bool is_alphabetic(uint32_t point);
bool is_digit(uint32_t point);
bool is_cased(uint32_t point);
bool is_lower(uint32_t point);
bool is_upper(uint32_t point);

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
std::string to_title(std::string_view text);      // str.title
std::string to_capitalized(std::string_view text); // str.capitalize
std::string swap_case(std::string_view text);

// White space where `chars` is null, else any of its characters.
std::string_view strip_left(std::string_view text, const std::string_view *chars);
std::string_view strip_right(std::string_view text, const std::string_view *chars);

// str.split; `separator` null: white space. `most` < 0: no limit.
std::vector<std::string> split(std::string_view text, const std::string_view *separator, int64_t most);
std::vector<std::string> split_from_right(std::string_view text, const std::string_view *separator, int64_t most);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
// `most` < 0: all of them. An empty `what` matches between all characters.
std::string replace(std::string_view text, std::string_view what, std::string_view with, int64_t most);

} // namespace llmrt::chat
