// Reads the fields of a request's JSON object by name and type, keeps the first mistake, and in the end refuses what
// nobody asked for: no field is ever ignored in silence.
#pragma once

#include "runtime/server/error.h"
#include "runtime/server/json.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace llmrt::server {

// What a reader was asked for: how /openapi.json knows an endpoint's fields.
struct FieldShape {
  std::string name;
  const char *type; // JSON schema's: "string", "integer", ...; "any"
  double least = 0, most = 0; // of numbers
  bool supported = true;
};

// A field that is absent or null has its default.
class FieldReader {
public:
  // `object` must outlive the reader. `shapes`, if not null, gets what is asked for.
  explicit FieldReader(const Json &object, std::vector<FieldShape> *shapes = nullptr);

  std::optional<bool> boolean(const char *name);
  // Whole numbers; 5.0 is one, "5" and true are not.
  std::optional<int64_t> integer(const char *name, int64_t least, int64_t most);
  std::optional<double> number(const char *name, double least, double most);
  std::optional<std::string> string(const char *name);
  std::vector<std::string> string_or_list(const char *name, size_t most);
  std::vector<int32_t> ids(const char *name, size_t most);
  // The value itself, marked as read; null if it is absent or null.
  const Json *value(const char *name, const char *type = "any");

  bool has(const char *name) const { return object_.is_object() && object_.contains(name) && !object_[name].is_null(); }

  // Fields that do not change the output.
  void ignore(std::initializer_list<const char *> names);
  // A field of the conventions that is not there yet: refused unless absent, null or equal to `neutral`.
  void refuse_unless(const char *name, const Json &neutral);
  void refuse(std::initializer_list<const char *> names);

  void fail(const std::string &name, const std::string &message); // the first one counts
  bool failed() const { return error_.has_value(); }
  // The first mistake, or a field nobody asked for.
  std::optional<ApiError> finish();

private:
  const Json *look_up(const char *name);
  void record(const char *name, const char *type, double least = 0, double most = 0, bool supported = true);

  const Json &object_;
  std::vector<FieldShape> *shapes_;
  std::set<std::string> read_;
  std::optional<ApiError> error_;
};

// An id in [0, vocabulary) for each element, for prompts and the like. False: not an array of whole numbers.
bool json_to_ids(const Json &array, std::vector<int32_t> &ids);

} // namespace llmrt::server
