#include "runtime/text/grammar/json_schema_tools.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace llmrt::grammar {

namespace {

constexpr std::string_view kAnnotations[] = {
    "$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "title", "description", "default", "examples",
    "example", "readOnly", "writeOnly", "deprecated", "contentEncoding", "contentMediaType", "discriminator"};

std::string unescaped(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) out += token[++i] == '1' ? '/' : '~';
    else out += token[i];
  }
  return out;
}

std::vector<std::string> types_of(const Json &schema) {
  std::vector<std::string> out;
  const auto found = schema.find("type");
  if (found == schema.end()) return out;
  if (found->is_string()) out.push_back(found->get<std::string>());
  if (found->is_array())
    for (const Json &type : *found)
      if (type.is_string()) out.push_back(type.get<std::string>());
  return out;
}

bool types_meet(const std::string &a, const std::string &b) { return type_admits(a, b) || type_admits(b, a); }

// The values that a schema lists; null: it does not.
const Json *listed(const Json &schema, Json *store) {
  if (const auto value = schema.find("const"); value != schema.end()) {
    *store = Json::array({*value});
    return store;
  }
  const auto values = schema.find("enum");
  return values != schema.end() && values->is_array() ? &*values : nullptr;
}

bool requires_key(const Json &schema, const std::string &key) {
  const auto required = schema.find("required");
  return required != schema.end() && required->is_array() &&
         std::find(required->begin(), required->end(), Json(key)) != required->end();
}

const Json *property(const Json &schema, const std::string &key) {
  const auto all = schema.find("properties");
  if (all == schema.end() || !all->is_object()) return nullptr;
  const auto found = all->find(key);
  return found == all->end() ? nullptr : &*found;
}

// a requires a property that b does not have, or has of another kind.
bool property_excludes(const Json &root, const Json &a, const Json &b, int &budget) {
  const auto required = a.find("required");
  if (required == a.end() || !required->is_array()) return false;
  for (const Json &name : *required) {
    if (!name.is_string()) continue;
    const std::string key = name.get<std::string>();
    const Json *mine = property(a, key), *other = property(b, key);
    const auto more = b.find("additionalProperties");
    if (!other && more != b.end() && *more == false && !b.contains("patternProperties")) return true;
    if (mine && other && requires_key(b, key) && schemas_exclude(root, *mine, *other, budget)) return true;
  }
  return false;
}

bool is_object_only(const Json &schema) {
  const auto types = types_of(schema);
  return types.size() == 1 && types[0] == "object";
}

} // namespace

bool is_annotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::find(std::begin(kAnnotations), std::end(kAnnotations), keyword) != std::end(kAnnotations);
}

Status schema_error(StatusCode code, const std::string &path, const std::string &what) {
  return Status(code, "JSON schema, " + path + ": " + what);
}

std::string child_path(const std::string &path, std::string_view key) {
  std::string out = path + "/";
  for (char c : key.substr(0, 100)) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

Result<const Json *> resolve_reference(const Json &root, const Json &reference, const std::string &path) {
  const std::string where = child_path(path, "$ref");
  if (!reference.is_string()) return schema_error(StatusCode::kInvalidArgument, where, "must be a string");
  std::string_view rest = reference.get_ref<const std::string &>();
  if (rest == "#") return &root;
  if (!rest.starts_with("#/"))
    return schema_error(StatusCode::kUnsupported, where,
                        "only references inside the schema (#/$defs/name) are supported, not " + std::string(rest));
  const Json *at = &root;
  rest.remove_prefix(1);
  while (!rest.empty() && at) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string token = unescaped(rest.substr(0, end));
    rest.remove_prefix(end);
    const Json *next = nullptr;
    if (at->is_object()) {
      const auto found = at->find(token);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !token.empty() && token.size() < 6 &&
               token.find_first_not_of("0123456789") == token.npos && size_t(std::stoi(token)) < at->size()) {
      next = &(*at)[size_t(std::stoi(token))];
    }
    at = next;
  }
  if (!at) return schema_error(StatusCode::kInvalidArgument, where, reference.get<std::string>() + " leads nowhere");
  return at;
}

std::string_view type_of(const Json &value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_string()) return "string";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  if (value.is_number_integer()) return "integer";
  return std::floor(value.get<double>()) == value.get<double>() ? "integer" : "number";
}

bool type_admits(std::string_view type, std::string_view value_type) {
  return type == value_type || (type == "number" && value_type == "integer");
}

bool schemas_exclude(const Json &root, const Json &a, const Json &b, int &budget) {
  if (--budget < 0) return false;
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object()) return false;
  for (const auto &[schema, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const auto reference = schema->find("$ref");
    if (reference == schema->end()) continue;
    const auto target = resolve_reference(root, *reference, "#");
    if (target.ok() && schemas_exclude(root, **target, *other, budget)) return true;
  }
  Json a_store, b_store;
  const Json *a_values = listed(a, &a_store), *b_values = listed(b, &b_store);
  if (a_values && b_values)
    return std::none_of(a_values->begin(), a_values->end(), [&](const Json &value) {
      return std::find(b_values->begin(), b_values->end(), value) != b_values->end();
    });
  std::vector<std::string> a_types = types_of(a), b_types = types_of(b);
  for (auto [values, types] : {std::pair(a_values, &a_types), std::pair(b_values, &b_types)})
    if (values && types->empty())
      for (const Json &value : *values) types->emplace_back(type_of(value));
  if (!a_types.empty() && !b_types.empty()) {
    const bool meet = std::any_of(a_types.begin(), a_types.end(), [&](const std::string &x) {
      return std::any_of(b_types.begin(), b_types.end(), [&](const std::string &y) { return types_meet(x, y); });
    });
    if (!meet) return true;
  }
  return is_object_only(a) && is_object_only(b) &&
         (property_excludes(root, a, b, budget) || property_excludes(root, b, a, budget));
}

} // namespace llmrt::grammar
