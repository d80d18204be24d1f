#include "runtime/server/fields.h"

#include "runtime/base/text.h"

#include <cmath>
#include <limits>

namespace llmrt::server {

static bool to_integer(const Json &value, int64_t &out) {
  if (value.is_number_unsigned()) {
    uint64_t u = value.get<uint64_t>();
    if (u > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return false;
    out = static_cast<int64_t>(u);
    return true;
  }
  if (value.is_number_integer()) {
    out = value.get<int64_t>();
    return true;
  }
  if (!value.is_number_float())
    return false;
  double d = value.get<double>();
  if (!(d >= -9.0e15 && d <= 9.0e15) || d != std::floor(d))
    return false;
  out = static_cast<int64_t>(d);
  return true;
}

bool json_to_ids(const Json &array, std::vector<int32_t> &ids) {
  if (!array.is_array())
    return false;
  ids.clear();
  ids.reserve(array.size());
  for (const Json &element : array) {
    int64_t id;
    if (!to_integer(element, id) || id < std::numeric_limits<int32_t>::min() ||
        id > std::numeric_limits<int32_t>::max())
      return false;
    ids.push_back(static_cast<int32_t>(id));
  }
  return true;
}

FieldReader::FieldReader(const Json &object, std::vector<FieldShape> *shapes) : object_(object), shapes_(shapes) {
  if (!object.is_object())
    error_ = ApiError{400, "the body must be a JSON object", {}, 0};
}

void FieldReader::fail(const std::string &name, const std::string &message) {
  if (!error_)
    error_ = ApiError{400, name + ": " + message, name, 0};
}

void FieldReader::record(const char *name, const char *type, double least, double most, bool supported) {
  if (shapes_ && !read_.count(name))
    shapes_->push_back({name, type, least, most, supported});
}

const Json *FieldReader::value(const char *name, const char *type) {
  record(name, type);
  return look_up(name);
}

const Json *FieldReader::look_up(const char *name) {
  read_.insert(name);
  if (!object_.is_object())
    return nullptr;
  auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<bool> FieldReader::boolean(const char *name) {
  record(name, "boolean");
  const Json *found = look_up(name);
  if (!found)
    return std::nullopt;
  if (found->is_boolean())
    return found->get<bool>();
  fail(name, "must be true or false");
  return std::nullopt;
}

std::optional<int64_t> FieldReader::integer(const char *name, int64_t least, int64_t most) {
  record(name, "integer", static_cast<double>(least), static_cast<double>(most));
  const Json *found = look_up(name);
  if (!found)
    return std::nullopt;
  int64_t out;
  if (!to_integer(*found, out)) {
    fail(name, "must be a whole number");
    return std::nullopt;
  }
  if (out < least || out > most) {
    fail(name, "must be from " + std::to_string(least) + " to " + std::to_string(most) + ", not " +
                   std::to_string(out));
    return std::nullopt;
  }
  return out;
}

std::optional<double> FieldReader::number(const char *name, double least, double most) {
  record(name, "number", least, most);
  const Json *found = look_up(name);
  if (!found)
    return std::nullopt;
  if (!found->is_number()) {
    fail(name, "must be a number");
    return std::nullopt;
  }
  double out = found->get<double>();
  if (!(out >= least && out <= most)) {
    fail(name, "must be from " + format_number(least) + " to " + format_number(most) + ", not " + format_number(out));
    return std::nullopt;
  }
  return out;
}

std::optional<std::string> FieldReader::string(const char *name) {
  record(name, "string");
  const Json *found = look_up(name);
  if (!found)
    return std::nullopt;
  if (found->is_string())
    return found->get<std::string>();
  fail(name, "must be a string");
  return std::nullopt;
}

std::vector<std::string> FieldReader::string_or_list(const char *name, size_t most) {
  record(name, "strings");
  const Json *found = look_up(name);
  if (!found)
    return {};
  if (found->is_string())
    return {found->get<std::string>()};
  std::vector<std::string> out;
  if (!found->is_array()) {
    fail(name, "must be a string or a list of strings");
    return out;
  }
  if (found->size() > most) {
    fail(name, "at most " + std::to_string(most) + " are taken");
    return out;
  }
  for (const Json &element : *found) {
    if (!element.is_string()) {
      fail(name, "must be a string or a list of strings");
      return {};
    }
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::vector<int32_t> FieldReader::ids(const char *name, size_t most) {
  record(name, "ids");
  const Json *found = look_up(name);
  std::vector<int32_t> out;
  if (!found)
    return out;
  if (found->is_array() && found->size() > most)
    fail(name, "at most " + std::to_string(most) + " are taken");
  else if (!json_to_ids(*found, out))
    fail(name, "must be a list of token ids");
  return out;
}

void FieldReader::ignore(std::initializer_list<const char *> names) {
  for (const char *name : names) {
    record(name, "any");
    read_.insert(name);
  }
}

void FieldReader::refuse_unless(const char *name, const Json &neutral) {
  record(name, "any", 0, 0, false);
  const Json *found = look_up(name);
  if (found && *found != neutral)
    fail(name, "is not supported yet by this server; leave it out");
}

void FieldReader::refuse(std::initializer_list<const char *> names) {
  for (const char *name : names)
    refuse_unless(name, nullptr);
}

std::optional<ApiError> FieldReader::finish() {
  if (error_)
    return error_;
  for (auto it = object_.begin(); it != object_.end(); ++it)
    if (!read_.count(it.key())) {
      fail(it.key(), "is not a field that this endpoint knows");
      break;
    }
  return error_;
}

} // namespace llmrt::server
