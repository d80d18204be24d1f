#include "runtime/text/normal/normal_forms.h"

#include "runtime/text/normal/utf8.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr uint32_t kHangulS = 0xac00, kHangulL = 0x1100, kHangulV = 0x1161, kHangulT = 0x11a7;
constexpr uint32_t kHangulLs = 19, kHangulVs = 21, kHangulTs = 28, kHangulNs = kHangulVs * kHangulTs;

struct Point {
  uint32_t point;
  uint32_t combining;
  size_t order = 0; // among the marks of its run
};

uint32_t combining_class(const schema::NormalForms &tables, uint32_t point) {
  uint32_t low = 0, high = tables.combining()->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::CombiningRange *range = tables.combining()->Get(middle);
    if (point < range->first()) high = middle;
    else if (point > range->last()) low = middle + 1;
    else return range->combining();
  }
  return 0;
}

const schema::Decomposition *find(const flatbuffers::Vector<const schema::Decomposition *> &rows, uint32_t point) {
  uint32_t low = 0, high = rows.size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::Decomposition *row = rows.Get(middle);
    if (row->from() == point) return row;
    if (point < row->from()) high = middle;
    else low = middle + 1;
  }
  return nullptr;
}

void decompose(const schema::NormalForms &tables, bool compatibility, uint32_t point, std::vector<Point> &out) {
  if (point >= kHangulS && point < kHangulS + kHangulLs * kHangulNs) {
    const uint32_t s = point - kHangulS;
    out.push_back({kHangulL + s / kHangulNs, 0});
    out.push_back({kHangulV + s % kHangulNs / kHangulTs, 0});
    if (s % kHangulTs) out.push_back({kHangulT + s % kHangulTs, 0});
    return;
  }
  const schema::Decomposition *row = find(compatibility ? *tables.compatibility() : *tables.canonical(), point);
  if (!row) {
    out.push_back({point, combining_class(tables, point)});
    return;
  }
  for (uint32_t i = 0; i < row->count(); ++i) {
    const uint32_t p = tables.points()->Get(row->first() + i);
    out.push_back({p, combining_class(tables, p)});
  }
}

void sort_marks(std::vector<Point> &points) {
  size_t i = 0;
  while (i < points.size()) {
    if (points[i].combining == 0) {
      ++i;
      continue;
    }
    const size_t begin = i;
    for (; i < points.size() && points[i].combining != 0; ++i) points[i].order = i;
    std::sort(points.begin() + begin, points.begin() + i, [](const Point &a, const Point &b) {
      return a.combining != b.combining ? a.combining < b.combining : a.order < b.order;
    });
  }
}

// 0: the two do not compose.
uint32_t composed(const schema::NormalForms &tables, uint32_t first, uint32_t second) {
  if (first >= kHangulL && first < kHangulL + kHangulLs && second >= kHangulV && second < kHangulV + kHangulVs)
    return kHangulS + ((first - kHangulL) * kHangulVs + (second - kHangulV)) * kHangulTs;
  const uint32_t s = first - kHangulS;
  if (first >= kHangulS && s < kHangulLs * kHangulNs && s % kHangulTs == 0 && second > kHangulT &&
      second < kHangulT + kHangulTs)
    return first + (second - kHangulT);
  uint32_t low = 0, high = tables.compositions()->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::Composition *row = tables.compositions()->Get(middle);
    if (row->first() == first && row->second() == second) return row->result();
    if (first < row->first() || (first == row->first() && second < row->second())) high = middle;
    else low = middle + 1;
  }
  return 0;
}

void compose(const schema::NormalForms &tables, std::vector<Point> &points) {
  size_t out = 0, starter = 0;
  bool has_starter = false;
  for (const Point p : points) {
    // Blocked: something of the same or a higher class, or a starter, stands between.
    const bool adjacent = has_starter && out == starter + 1;
    const uint32_t before = out > 0 ? points[out - 1].combining : 0;
    const bool open = has_starter && (adjacent || (before < p.combining && before != 0));
    const uint32_t joined = open ? composed(tables, points[starter].point, p.point) : 0;
    if (joined) {
      points[starter].point = joined;
      continue;
    }
    if (p.combining == 0) {
      starter = out;
      has_starter = true;
    }
    points[out++] = p;
  }
  points.resize(out);
}

} // namespace

std::string to_normal_form(const schema::NormalForms &tables, NormalForm form, std::string_view text) {
  const bool compatibility = form == NormalForm::Nfkc || form == NormalForm::Nfkd;
  const bool composing = form == NormalForm::Nfc || form == NormalForm::Nfkc;
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::vector<Point> points;
  points.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = utf8_first(text.substr(i));
    if (c.point < 0x80) points.push_back({c.point, 0});
    else decompose(tables, compatibility, c.point, points);
    i += c.length;
  }
  sort_marks(points);
  if (composing) compose(tables, points);
  std::string out;
  out.reserve(text.size());
  for (const Point &p : points) utf8_append(out, p.point);
  return out;
}

} // namespace llmrt
