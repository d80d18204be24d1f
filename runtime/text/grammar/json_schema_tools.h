// Schemas as values: references, two in one, whether two can hold at once.
#pragma once

#include "runtime/base/status.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace llmrt::grammar {

using Json = nlohmann::ordered_json;

// Keywords that say nothing about what is valid.
bool is_annotation(std::string_view keyword);

Status schema_error(StatusCode code, const std::string &path, const std::string &what);
std::string child_path(const std::string &path, std::string_view key); // with JSON pointer's escapes

// "#", "#/$defs/x" or "#anchor"; null and an error: it leads nowhere.
Result<const Json *> resolve_reference(const Json &root, const Json &reference, const std::string &path);

// A schema under which valid is what is valid under both. kUnsupported names what cannot be merged. `budget`: merges
// that may still be done; what recurs in both would take any number.
Result<Json> merge_schemas(const Json &root, const Json &a, const Json &b, const std::string &path, int &budget);

// No value is valid under both, as far as this can see in `budget` looks: false is "perhaps".
bool schemas_exclude(const Json &root, const Json &a, const Json &b, int &budget);

// The value's type as JSON Schema names it; whole numbers are "integer".
std::string_view type_of(const Json &value);
// `type` allows it ("number" takes integers).
bool type_admits(std::string_view type, std::string_view value_type);

} // namespace llmrt::grammar
