#include "models/ConfigReader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

namespace llmc::models {

using nlohmann::json;

std::string describe(const json &value) {
  constexpr size_t kLongest = 60;
  switch (value.type()) {
  case json::value_t::null:
    return "null";
  case json::value_t::object:
    return "an object";
  case json::value_t::array:
    return llvm::formatv("a list of {0}", value.size()).str();
  case json::value_t::string: {
    llvm::StringRef text = value.get_ref<const std::string &>();
    std::string shown;
    llvm::raw_string_ostream stream(shown);
    llvm::printEscapedString(text.take_front(kLongest), stream);
    return "\"" + shown + (text.size() > kLongest ? "...\"" : "\"");
  }
  case json::value_t::binary:
  case json::value_t::discarded:
    return "no JSON value";
  default:
    return value.dump();
  }
}

ConfigReader::ConfigReader(const json &config) : object_(config) {
  if (!config.is_object())
    problem_ = "config.json: the file holds " + describe(config) + "; it must hold one JSON object";
}

ConfigReader::ConfigReader(const json &object, std::string path, ConfigReader &parent)
    : object_(object), path_(std::move(path)), root_(parent.root_ ? parent.root_ : &parent) {}

const json *ConfigReader::find(llvm::StringRef field) const {
  if (!object_.is_object())
    return nullptr;
  auto found = object_.find(field.str());
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::has(llvm::StringRef field) const { return find(field) != nullptr; }

bool ConfigReader::isNull(llvm::StringRef field) const {
  return object_.is_object() && object_.contains(field.str()) && !find(field);
}

void ConfigReader::refuse(llvm::StringRef field, const llvm::Twine &rest) {
  if (failed())
    return;
  const json *value = find(field);
  problem() = ("config.json: \"" + path_ + field + "\" is " + (value ? describe(*value) : "missing") + "; " + rest).str();
}

void ConfigReader::missing(llvm::StringRef field, const llvm::Twine &rest) {
  if (!failed())
    problem() = ("config.json: \"" + path_ + field + "\" is missing; " + rest).str();
}

int64_t ConfigReader::integer(llvm::StringRef field, int64_t low, int64_t high, std::optional<int64_t> fallback) {
  std::string rule = llvm::formatv("it must be an integer from {0} to {1}", low, high).str();
  const json *value = find(field);
  if (!value) {
    if (!fallback)
      missing(field, rule);
    return fallback.value_or(low);
  }
  bool fits = value->is_number_integer();
  if (fits && value->is_number_unsigned())
    fits = value->get<uint64_t>() <= uint64_t(INT64_MAX);
  int64_t result = fits ? value->get<int64_t>() : low;
  if (fits && result >= low && result <= high)
    return result;
  refuse(field, rule);
  return low;
}

double ConfigReader::number(llvm::StringRef field, double low, double high, std::optional<double> fallback) {
  std::string rule = llvm::formatv("it must be a number from {0} to {1}", json(low).dump(), json(high).dump()).str();
  const json *value = find(field);
  if (!value) {
    if (!fallback)
      missing(field, rule);
    return fallback.value_or(low);
  }
  double result = value->is_number() ? value->get<double>() : std::nan("");
  if (result >= low && result <= high)
    return result;
  refuse(field, rule);
  return low;
}

bool ConfigReader::boolean(llvm::StringRef field, bool fallback) {
  const json *value = find(field);
  if (!value)
    return fallback;
  if (value->is_boolean())
    return value->get<bool>();
  refuse(field, "it must be true or false");
  return fallback;
}

std::string ConfigReader::choice(llvm::StringRef field, llvm::ArrayRef<llvm::StringRef> allowed,
                                 llvm::StringRef fallback) {
  const json *value = find(field);
  if (!value)
    return fallback.str();
  if (value->is_string() && llvm::is_contained(allowed, llvm::StringRef(value->get_ref<const std::string &>())))
    return value->get<std::string>();
  refuse(field, "supported are " + llvm::join(allowed, ", "));
  return allowed.front().str();
}

std::optional<std::vector<std::string>> ConfigReader::choices(llvm::StringRef field,
                                                              llvm::ArrayRef<llvm::StringRef> allowed, int64_t count) {
  const json *value = find(field);
  if (!value)
    return std::nullopt;
  auto isAllowed = [&](const json &item) {
    return item.is_string() && llvm::is_contained(allowed, llvm::StringRef(item.get_ref<const std::string &>()));
  };
  if (!value->is_array() || value->size() != size_t(count) || !llvm::all_of(*value, isAllowed)) {
    refuse(field, llvm::formatv("it must be a list of {0}, each one of {1}", count, llvm::join(allowed, ", ")));
    return std::vector<std::string>(count, allowed.front().str());
  }
  return value->get<std::vector<std::string>>();
}

std::optional<ConfigReader> ConfigReader::firstObject(llvm::ArrayRef<llvm::StringRef> fields) {
  for (llvm::StringRef field : fields) {
    const json *value = find(field);
    if (value && !value->is_object())
      refuse(field, "it must be an object or null");
    else if (value && !value->empty())
      return ConfigReader(*value, path_ + field.str() + ".", *this);
  }
  return std::nullopt;
}

bool ConfigReader::isNested() const {
  return llvm::any_of(object_, [](const json &value) { return value.is_object(); });
}

void ConfigReader::onlySupports(llvm::StringRef field, const json &neutral, llvm::StringRef why) {
  const json *value = find(field);
  if (value && *value != neutral)
    refuse(field, why);
}

llvm::Error ConfigReader::takeError() {
  if (!failed())
    return llvm::Error::success();
  return llvm::createStringError(problem());
}

} // namespace llmc::models
