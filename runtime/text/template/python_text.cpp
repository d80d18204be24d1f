#include "runtime/text/template/python_text.h"

#include "runtime/text/normal/utf8.h"

#include <algorithm>
#include <iterator>

namespace llmrt::chat {

namespace {

struct CaseRun {
  uint32_t first, last, stride;
  int32_t delta;
};
struct CaseRow {
  uint32_t from, to[3];
};
struct PointRange {
  uint32_t first, last;
};

#include "runtime/text/template/python_text_tables.inc"

template <size_t N> bool in_ranges(const PointRange (&ranges)[N], uint32_t point) {
  const auto *after = std::upper_bound(std::begin(ranges), std::end(ranges), point,
                                       [](uint32_t p, const PointRange &r) { return p < r.first; });
  return after != std::begin(ranges) && point <= std::prev(after)->last;
}

// Appends the mapping and gives true, or gives false where there is none.
template <size_t N, size_t M>
bool map_case(const CaseRun (&runs)[N], const CaseRow (&rows)[M], uint32_t point, std::string &out) {
  for (const CaseRow &row : rows) {
    if (row.from != point) continue;
    for (uint32_t p : row.to)
      if (p) utf8_append(out, p);
    return true;
  }
  const auto *after = std::upper_bound(std::begin(runs), std::end(runs), point,
                                       [](uint32_t p, const CaseRun &r) { return p < r.first; });
  if (after == std::begin(runs)) return false;
  const CaseRun &run = *std::prev(after); // runs do not overlap
  if (point > run.last || (point - run.first) % run.stride) return false;
  utf8_append(out, static_cast<uint32_t>(static_cast<int64_t>(point) + run.delta));
  return true;
}

void append_lower(uint32_t point, std::string &out) {
  if (point < 0x80) out += static_cast<char>(point >= 'A' && point <= 'Z' ? point + 32 : point);
  else if (!map_case(kLowerRuns, kLowerRows, point, out)) utf8_append(out, point);
}

void append_upper(uint32_t point, std::string &out) {
  if (point < 0x80) out += static_cast<char>(point >= 'a' && point <= 'z' ? point - 32 : point);
  else if (!map_case(kUpperRuns, kUpperRows, point, out)) utf8_append(out, point);
}

void append_title(uint32_t point, std::string &out) {
  if (point < 0x80 || !map_case(kTitleRuns, kTitleRows, point, out)) append_upper(point, out);
}

std::vector<uint32_t> points_of(std::string_view text) {
  std::vector<uint32_t> out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = utf8_first(text);
    out.push_back(c.point);
    text.remove_prefix(c.length);
  }
  return out;
}

constexpr uint32_t kSigma = 0x3a3, kFinalSigma = 0x3c2, kSmallSigma = 0x3c3;

// A sigma at a word's end: a cased letter before it and none after it.
bool is_final_sigma(const std::vector<uint32_t> &points, size_t at) {
  return at > 0 && is_cased(points[at - 1]) && !(at + 1 < points.size() && is_cased(points[at + 1]));
}

void append_lower_at(const std::vector<uint32_t> &points, size_t at, std::string &out) {
  if (points[at] == kSigma) utf8_append(out, is_final_sigma(points, at) ? kFinalSigma : kSmallSigma);
  else append_lower(points[at], out);
}

bool is_one_of(uint32_t point, const std::string_view *chars) {
  if (!chars) return is_space(point);
  for (std::string_view c : characters(*chars))
    if (utf8_first(c).point == point) return true;
  return false;
}

} // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_first(text.substr(i)).length;
    out.push_back(text.substr(i, n));
    i += n;
  }
  return out;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool is_space(uint32_t point) { return in_ranges(kSpace, point); }
bool is_printable(uint32_t point) { return !in_ranges(kUnprintable, point); }
bool is_alphabetic(uint32_t point) { return in_ranges(kAlphabetic, point); }
bool is_digit(uint32_t point) { return in_ranges(kDigit, point); }

bool is_upper(uint32_t point) {
  std::string lower, self;
  append_lower(point, lower);
  utf8_append(self, point);
  return lower != self;
}

bool is_lower(uint32_t point) {
  std::string upper, self;
  append_upper(point, upper);
  utf8_append(self, point);
  return upper != self && !is_upper(point);
}

bool is_cased(uint32_t point) { return is_upper(point) || is_lower(point); }

std::string to_lower(std::string_view text) {
  const std::vector<uint32_t> points = points_of(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < points.size(); ++i) append_lower_at(points, i, out);
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (uint32_t p : points_of(text)) append_upper(p, out);
  return out;
}

std::string to_title(std::string_view text) {
  const std::vector<uint32_t> points = points_of(text);
  std::string out;
  bool inside = false; // a word
  for (size_t i = 0; i < points.size(); ++i) {
    if (inside) append_lower_at(points, i, out);
    else append_title(points[i], out);
    inside = is_cased(points[i]);
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  const std::vector<uint32_t> points = points_of(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i == 0) append_title(points[i], out);
    else append_lower_at(points, i, out);
  }
  return out;
}

std::string swap_case(std::string_view text) {
  const std::vector<uint32_t> points = points_of(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (is_upper(points[i])) append_lower_at(points, i, out);
    else append_upper(points[i], out);
  }
  return out;
}

std::string_view strip_left(std::string_view text, const std::string_view *chars) {
  while (!text.empty()) {
    const Utf8Char c = utf8_first(text);
    if (!is_one_of(c.point, chars)) break;
    text.remove_prefix(c.length);
  }
  return text;
}

std::string_view strip_right(std::string_view text, const std::string_view *chars) {
  while (!text.empty()) {
    const size_t last = utf8_previous(text, text.size());
    if (!is_one_of(utf8_first(text.substr(last)).point, chars)) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

namespace {

std::vector<std::string> split_at_spaces(std::string_view text, int64_t most) {
  std::vector<std::string> out;
  while (true) {
    text = strip_left(text, nullptr);
    if (text.empty()) return out;
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) break;
    size_t end = 0;
    while (end < text.size() && !is_space(utf8_first(text.substr(end)).point))
      end += utf8_first(text.substr(end)).length;
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  out.emplace_back(text);
  return out;
}

std::vector<std::string> split_at_spaces_from_right(std::string_view text, int64_t most) {
  std::vector<std::string> out;
  while (true) {
    text = strip_right(text, nullptr);
    if (text.empty()) break;
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
      out.emplace_back(text);
      break;
    }
    size_t begin = text.size();
    while (begin > 0 && !is_space(utf8_first(text.substr(utf8_previous(text, begin))).point))
      begin = utf8_previous(text, begin);
    out.emplace_back(text.substr(begin));
    text.remove_suffix(text.size() - begin);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

} // namespace

std::vector<std::string> split(std::string_view text, const std::string_view *separator, int64_t most) {
  if (!separator) return split_at_spaces(text, most);
  std::vector<std::string> out;
  while (most < 0 || static_cast<int64_t>(out.size()) < most) {
    const size_t at = text.find(*separator);
    if (at == std::string_view::npos) break;
    out.emplace_back(text.substr(0, at));
    text.remove_prefix(at + separator->size());
  }
  out.emplace_back(text);
  return out;
}

std::vector<std::string> split_from_right(std::string_view text, const std::string_view *separator, int64_t most) {
  if (!separator) return split_at_spaces_from_right(text, most);
  std::vector<std::string> out;
  while (most < 0 || static_cast<int64_t>(out.size()) < most) {
    const size_t at = text.rfind(*separator);
    if (at == std::string_view::npos) break;
    out.emplace_back(text.substr(at + separator->size()));
    text = text.substr(0, at);
  }
  out.emplace_back(text);
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  const auto ends_line = [](uint32_t p) {
    return (p >= 0xa && p <= 0xd) || (p >= 0x1c && p <= 0x1e) || p == 0x85 || p == 0x2028 || p == 0x2029;
  };
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = utf8_first(text.substr(i));
    size_t next = i + c.length;
    if (ends_line(c.point)) {
      if (c.point == '\r' && next < text.size() && text[next] == '\n') ++next;
      out.emplace_back(text.substr(begin, (keep_ends ? next : i) - begin));
      begin = next;
    }
    i = next;
  }
  if (begin < text.size()) out.emplace_back(text.substr(begin));
  return out;
}

std::string replace(std::string_view text, std::string_view what, std::string_view with, int64_t most) {
  std::string out;
  if (most < 0) most = INT64_MAX;
  if (what.empty()) {
    for (std::string_view c : characters(text)) {
      if (most-- > 0) out.append(with);
      out.append(c);
    }
    if (most > 0) out.append(with);
    return out;
  }
  size_t from = 0;
  for (; most > 0; --most) {
    const size_t at = text.find(what, from);
    if (at == std::string_view::npos) break;
    out.append(text.substr(from, at - from)).append(with);
    from = at + what.size();
  }
  return out.append(text.substr(from));
}

} // namespace llmrt::chat
