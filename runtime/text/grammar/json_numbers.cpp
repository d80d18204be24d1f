// Numbers between bounds, digit by digit.
#include "runtime/text/grammar/json_parts.h"

#include <algorithm>

namespace llmrt::grammar {

namespace {

constexpr size_t kMaxDigits = 16, kMaxFraction = 8;

// A number of zero or more: whole digits without leading zeros, digits behind the point without trailing ones.
struct Magnitude {
  std::string whole = "0", fraction;
  bool inclusive = true;
  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

struct Signed {
  bool negative = false;
  Magnitude magnitude;
};

Signed parse(const NumberBound &bound) {
  Signed out;
  std::string_view text = bound.value;
  if (text.starts_with("-")) text.remove_prefix(1), out.negative = true;
  const size_t point = std::min(text.find('.'), text.size());
  out.magnitude.whole = text.substr(0, point);
  out.magnitude.fraction = text.substr(std::min(point + 1, text.size()));
  while (out.magnitude.fraction.ends_with('0')) out.magnitude.fraction.pop_back();
  out.magnitude.inclusive = bound.inclusive;
  if (out.magnitude.is_zero()) out.negative = false;
  return out;
}

bool less(const std::string &a, const std::string &b) { // whole digits
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

std::string next(std::string digits) {
  for (size_t i = digits.size(); i-- > 0;) {
    if (digits[i] != '9') return ++digits[i], digits;
    digits[i] = '0';
  }
  return "1" + digits;
}

std::string previous(std::string digits) { // above zero
  size_t i = digits.size() - 1;
  while (digits[i] == '0') digits[i--] = '9';
  --digits[i];
  return digits.size() > 1 && digits[0] == '0' ? digits.substr(1) : digits;
}

class Digits {
public:
  explicit Digits(Grammar &grammar) : grammar_(grammar) {}

  // Whole numbers from low to high; no high: of at most kMaxDigits digits.
  NodeId whole(const std::string &low, const std::string *high) {
    const std::string most = high ? *high : std::string(std::max(kMaxDigits, low.size() + 1), '9');
    std::vector<NodeId> out;
    if (less(most, low)) return grammar_.never();
    for (size_t length = low.size(); length <= most.size(); ++length) {
      const std::string first = length == low.size() ? low : "1" + std::string(length - 1, '0');
      const std::string last = length == most.size() ? most : std::string(length, '9');
      out.push_back(between(first, last));
    }
    return grammar_.choice(out);
  }

  // What follows a whole number whose fraction must be from `low` to `high` (either may be null): nothing, or a point
  // and digits.
  NodeId fraction(const Magnitude *low, const Magnitude *high) {
    const std::string least = low ? padded(low->fraction) : std::string();
    const std::string most = high ? padded(high->fraction) : std::string();
    std::vector<NodeId> out;
    if (may_stop(low, least, high, most, 0)) out.push_back(grammar_.empty());
    out.push_back(grammar_.sequence({grammar_.literal("."), after(low, least, high, most, 0, false)}));
    return grammar_.choice(out);
  }

private:
  NodeId digit(int first, int last) {
    if (first > last) return grammar_.never();
    return grammar_.chars({{uint32_t('0' + first), uint32_t('0' + last)}});
  }
  NodeId any(size_t least, size_t most) { return grammar_.repeat(digit(0, 9), uint32_t(least), uint32_t(most)); }

  // Of equal length, low <= high.
  NodeId between(std::string_view low, std::string_view high) {
    if (low.empty()) return grammar_.empty();
    const int first = low[0] - '0', last = high[0] - '0';
    const size_t rest = low.size() - 1;
    const std::string nines(rest, '9'), zeros(rest, '0');
    if (low.substr(1) == zeros && high.substr(1) == nines)
      return grammar_.sequence({digit(first, last), any(rest, rest)});
    if (first == last) return grammar_.sequence({digit(first, first), between(low.substr(1), high.substr(1))});
    return grammar_.choice({grammar_.sequence({digit(first, first), between(low.substr(1), nines)}),
                            grammar_.sequence({digit(first + 1, last - 1), any(rest, rest)}),
                            grammar_.sequence({digit(last, last), between(zeros, high.substr(1))})});
  }

  static std::string padded(std::string digits) { return digits.append(kMaxFraction - digits.size(), '0'); }
  static bool zeros(std::string_view digits) { return digits.find_first_not_of('0') == digits.npos; }

  // The digits before `at` equal those of the bounds that are given; may the number end here?
  static bool may_stop(const Magnitude *low, std::string_view least, const Magnitude *high, std::string_view most,
                       size_t at) {
    if (low && !(zeros(least.substr(at)) && low->inclusive)) return false;
    return !high || high->inclusive || !zeros(most.substr(at));
  }

  NodeId after(const Magnitude *low, std::string_view least, const Magnitude *high, std::string_view most, size_t at,
               bool stop) {
    std::vector<NodeId> out;
    if (stop && may_stop(low, least, high, most, at)) out.push_back(grammar_.empty());
    if (at == kMaxFraction || (!low && !high)) {
      if (at < kMaxFraction) return any(stop ? 0 : 1, kMaxFraction - at);
      return grammar_.choice(out);
    }
    const int first = low ? least[at] - '0' : 0, last = high ? most[at] - '0' : 9;
    for (int value = first; value <= last; ++value) {
      const Magnitude *still_low = low && value == first ? low : nullptr;
      const Magnitude *still_high = high && value == last ? high : nullptr;
      out.push_back(
          grammar_.sequence({digit(value, value), after(still_low, least, still_high, most, at + 1, true)}));
    }
    return grammar_.choice(out);
  }

  Grammar &grammar_;
};

// Numbers from low to high (null: open), without a sign.
NodeId magnitudes(Grammar &grammar, const Magnitude *low, const Magnitude *high, bool fractions) {
  Digits digits(grammar);
  static const Magnitude kZero;
  if (!low) low = &kZero;
  if (high && less(high->whole, low->whole)) return grammar.never();
  if (high && high->whole == low->whole) {
    if (high->fraction.empty() && low->fraction.empty() && !(high->inclusive && low->inclusive)) return grammar.never();
    const NodeId tail = fractions ? digits.fraction(low, high) : grammar.empty();
    if (!fractions && !(low->fraction.empty() && low->inclusive && (high->inclusive || !high->fraction.empty())))
      return grammar.never();
    return grammar.sequence({grammar.literal(low->whole), tail});
  }
  std::vector<NodeId> out;
  const bool low_fits = low->fraction.empty() && low->inclusive;
  if (fractions || low_fits)
    out.push_back(grammar.sequence(
        {grammar.literal(low->whole), fractions ? digits.fraction(low, nullptr) : grammar.empty()}));
  const std::string first = next(low->whole);
  const NodeId tail = fractions ? digits.fraction(nullptr, nullptr) : grammar.empty();
  if (!high) {
    out.push_back(grammar.sequence({digits.whole(first, nullptr), tail}));
    return grammar.choice(out);
  }
  const std::string last = previous(high->whole);
  if (!less(last, first)) out.push_back(grammar.sequence({digits.whole(first, &last), tail}));
  const bool high_fits = high->inclusive || !high->fraction.empty();
  if (fractions || high_fits)
    out.push_back(grammar.sequence(
        {grammar.literal(high->whole), fractions ? digits.fraction(nullptr, high) : grammar.empty()}));
  return grammar.choice(out);
}

Result<NodeId> bounded(Grammar &grammar, const std::optional<NumberBound> &low, const std::optional<NumberBound> &high,
                       bool fractions) {
  for (const auto &bound : {low, high}) {
    if (!bound) continue;
    const Signed number = parse(*bound);
    const size_t digits = number.magnitude.whole.size() + number.magnitude.fraction.size();
    if (digits > kMaxDigits - 1 || number.magnitude.fraction.size() > kMaxFraction ||
        (fractions && number.magnitude.whole.size() > 7))
      return Status(StatusCode::kUnsupported, "the bound " + bound->value + " has too many digits");
  }
  std::optional<Signed> least, most;
  if (low) least = parse(*low);
  if (high) most = parse(*high);
  std::vector<NodeId> out;
  if (!most || !most->negative) { // zero and above
    const bool from_zero = !least || least->negative;
    out.push_back(
        magnitudes(grammar, from_zero ? nullptr : &least->magnitude, most ? &most->magnitude : nullptr, fractions));
  }
  if (!least || least->negative) { // below zero: the bounds change places
    Magnitude nearest;             // just below zero
    nearest.inclusive = false;
    if (most && most->negative) nearest = most->magnitude;
    out.push_back(grammar.sequence(
        {grammar.literal("-"), magnitudes(grammar, &nearest, least ? &least->magnitude : nullptr, fractions)}));
  }
  return grammar.choice(out);
}

} // namespace

Result<NodeId> integers_between(Grammar &grammar, const std::optional<NumberBound> &low,
                                const std::optional<NumberBound> &high) {
  return bounded(grammar, low, high, false);
}

Result<NodeId> numbers_between(Grammar &grammar, const std::optional<NumberBound> &low,
                               const std::optional<NumberBound> &high) {
  return bounded(grammar, low, high, true);
}

} // namespace llmrt::grammar
