#include "compiler/import/tokenizer/Scores.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace llmc::tokenizer {
namespace {

using nlohmann::json;

// 10^0 .. 10^308 as doubles, each the nearest one, without libm.
double powerOfTen(int exponent) {
  char text[8] = "1e";
  std::snprintf(text + 2, sizeof text - 2, "%d", exponent);
  double value = 0;
  llvm::StringRef(text).getAsDouble(value);
  return value;
}

double scaled(uint64_t significand, int64_t exponent) {
  double value = double(significand);
  while (value != 0 && exponent < -308) {
    value /= 1e308;
    exponent += 308;
  }
  if (value == 0) return 0;
  if (exponent > 308) return std::numeric_limits<double>::infinity();
  return exponent < 0 ? value / powerOfTen(int(-exponent)) : value * powerOfTen(int(exponent));
}

// Notes the numbers at model.vocab[i][1].
struct ScoreReader : nlohmann::json_sax<json> {
  std::vector<std::string> keys; // of the objects around; "" for an array
  std::string lastKey;
  std::vector<double> scores;
  int element = 0; // of the innermost array

  bool isScore() const { return keys.size() == 4 && keys[1] == "model" && keys[2] == "vocab" && element == 1; }
  bool note(double value) {
    if (isScore()) scores.push_back(value);
    ++element;
    return true;
  }
  bool skip() {
    ++element;
    return true;
  }
  bool open() {
    keys.push_back(lastKey);
    lastKey.clear();
    element = 0;
    return true;
  }
  bool close() {
    keys.pop_back();
    return true;
  }
  bool null() override { return skip(); }
  bool boolean(bool) override { return skip(); }
  bool number_integer(number_integer_t value) override { return note(double(value)); }
  bool number_unsigned(number_unsigned_t value) override { return note(double(value)); }
  bool number_float(number_float_t, const string_t &digits) override { return note(readScore(digits)); }
  bool string(string_t &) override { return skip(); }
  bool binary(binary_t &) override { return skip(); }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t &name) override {
    lastKey = name;
    return true;
  }
  bool parse_error(size_t, const std::string &, const json::exception &) override { return false; }
};

} // namespace

double readScore(llvm::StringRef digits) {
  bool negative = digits.consume_front("-");
  uint64_t significand = 0;
  int64_t exponent = 0;
  bool fraction = false, full = false; // full: no further digit fits
  for (; !digits.empty() && (llvm::isDigit(digits[0]) || digits[0] == '.'); digits = digits.drop_front()) {
    if (digits[0] == '.') {
      fraction = true;
      full = false;
      continue;
    }
    uint64_t digit = uint64_t(digits[0] - '0');
    full = full || significand > (std::numeric_limits<uint64_t>::max() - digit) / 10;
    if (full) {
      exponent += fraction ? 0 : 1;
      continue;
    }
    significand = significand * 10 + digit;
    exponent -= fraction ? 1 : 0;
  }
  int64_t written = 0;
  if (digits.consume_front_insensitive("e")) {
    digits.consume_front("+");
    if (digits.getAsInteger(10, written)) written = digits.starts_with("-") ? -100000 : 100000;
  }
  double value = scaled(significand, exponent + std::clamp<int64_t>(written, -100000, 100000));
  return negative ? -value : value;
}

std::vector<double> readScores(llvm::StringRef text) {
  ScoreReader reader;
  json::sax_parse(text.begin(), text.end(), &reader);
  return std::move(reader.scores);
}

} // namespace llmc::tokenizer
