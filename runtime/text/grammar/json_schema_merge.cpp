// allOf, and keywords that stand beside a reference or an anyOf: two schemas in one.
#include "runtime/text/grammar/json_schema_tools.h"

#include <algorithm>

namespace llmrt::grammar {

namespace {

constexpr size_t kMaxBranches = 64;
constexpr int kMaxDepth = 64;

class Merger {
public:
  Merger(const Json &root, const std::string &path, int &budget, int depth)
      : root_(root), path_(path), budget_(budget), depth_(depth) {}

  Result<Json> run(const Json &a, const Json &b) {
    if (depth_ > kMaxDepth || --budget_ < 0)
      return schema_error(StatusCode::kUnsupported, path_, "references and allOf are too many or too deep to be put together");
    if (a == false || b == false) return Json(false);
    if (a == true) return b;
    if (b == true) return a;
    if (!a.is_object() || !b.is_object())
      return schema_error(StatusCode::kInvalidArgument, path_, "a schema must be an object, true or false");
    for (const auto &[one, other] : {std::pair(&a, &b), std::pair(&b, &a)})
      for (const char *keyword : {"$ref", "allOf", "anyOf", "oneOf"})
        if (one->contains(keyword)) return opened(*one, keyword, *other);
    Json out = a;
    for (auto it = b.begin(); it != b.end(); ++it) {
      if (is_annotation(it.key()) || objects(it.key())) continue;
      const auto mine = out.find(it.key());
      if (mine == out.end()) out[it.key()] = it.value();
      else if (Status status = keyword(it.key(), *mine, it.value()); !status.ok()) return status;
    }
    if (Status status = properties(a, b, out); !status.ok()) return status;
    return never_ ? Json(false) : out;
  }

private:
  static bool objects(std::string_view key) {
    return key == "properties" || key == "additionalProperties" || key == "patternProperties";
  }
  Result<Json> merged(const Json &a, const Json &b) { return Merger(root_, path_, budget_, depth_ + 1).run(a, b); }

  // The keyword's own schemas take in what stands beside it, and the other schema.
  Result<Json> opened(const Json &schema, const std::string &keyword, const Json &other) {
    Json rest = schema;
    rest.erase(keyword);
    const Json &inner = schema[keyword];
    if (keyword == "$ref") {
      Result<const Json *> target = resolve_reference(root_, inner, path_);
      if (!target.ok()) return target.status();
      Result<Json> all = merged(**target, rest);
      return all.ok() ? merged(*all, other) : all;
    }
    if (!inner.is_array() || inner.empty() || inner.size() > kMaxBranches)
      return schema_error(StatusCode::kInvalidArgument, child_path(path_, keyword),
                          "must be a list of 1 to " + std::to_string(kMaxBranches) + " schemas");
    Result<Json> all = merged(rest, other);
    Json branches = Json::array();
    for (const Json &branch : inner) {
      if (!all.ok()) return all;
      Result<Json> one = merged(*all, branch);
      if (!one.ok()) return one;
      if (keyword == "allOf") all = std::move(one);
      else branches.push_back(std::move(*one));
    }
    return keyword == "allOf" ? all : Result<Json>(Json{{keyword, std::move(branches)}});
  }

  Status keyword(const std::string &key, Json &mine, const Json &other) {
    if (mine == other) return ok_status();
    if (key == "type") return types(mine, other);
    if (key == "required") return united(mine, other);
    if (key == "enum" || key == "const") return values(key, mine, other);
    const bool least = key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems" ||
                       key == "minProperties";
    const bool most = key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems" ||
                      key == "maxProperties";
    if ((least || most) && mine.is_number() && other.is_number()) {
      if (least == (mine.get<double>() < other.get<double>())) mine = other;
      return ok_status();
    }
    if (key == "items" && mine.is_object() && other.is_object()) {
      Result<Json> both = merged(mine, other);
      if (both.ok()) mine = std::move(*both);
      return both.status();
    }
    return schema_error(StatusCode::kUnsupported, child_path(path_, key),
                        "two different ones must hold at once, which is not supported");
  }

  static Json list(const Json &value) { return value.is_array() ? value : Json::array({value}); }

  Status types(Json &mine, const Json &other) {
    Json out = Json::array();
    for (const Json &a : list(mine))
      for (const Json &b : list(other)) {
        if (!a.is_string() || !b.is_string()) continue;
        const auto &x = a.get_ref<const std::string &>(), &y = b.get_ref<const std::string &>();
        if (type_admits(x, y)) out.push_back(y);
        else if (type_admits(y, x)) out.push_back(x);
      }
    never_ |= out.empty();
    mine = out.size() == 1 ? out[0] : out;
    return ok_status();
  }

  Status united(Json &mine, const Json &other) {
    if (!mine.is_array() || !other.is_array())
      return schema_error(StatusCode::kInvalidArgument, child_path(path_, "required"), "must be a list of names");
    for (const Json &name : other)
      if (std::find(mine.begin(), mine.end(), name) == mine.end()) mine.push_back(name);
    return ok_status();
  }

  Status values(const std::string &key, Json &mine, const Json &other) {
    if (key == "const") {
      never_ = true; // two different constants
      return ok_status();
    }
    Json out = Json::array();
    for (const Json &value : list(mine))
      for (const Json &same : list(other))
        if (value == same) out.push_back(value);
    never_ |= out.empty();
    mine = std::move(out);
    return ok_status();
  }

  // A name that one schema lists is, for the other, one of its additional ones unless it lists it too.
  Status properties(const Json &a, const Json &b, Json &out) {
    if (!a.contains("properties") && !b.contains("properties") && !a.contains("additionalProperties") &&
        !b.contains("additionalProperties")) {
      if (b.contains("patternProperties")) out["patternProperties"] = b["patternProperties"];
      return ok_status();
    }
    if (a.contains("patternProperties") || b.contains("patternProperties"))
      return schema_error(StatusCode::kUnsupported, child_path(path_, "patternProperties"),
                          "cannot be put together with another schema's properties");
    Json all = Json::object();
    for (const auto &[one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      const auto mine = one->find("properties");
      if (mine == one->end() || !mine->is_object()) continue;
      for (auto it = mine->begin(); it != mine->end(); ++it) {
        if (all.contains(it.key())) continue;
        Result<Json> both = merged(it.value(), of_other(*other, it.key()));
        if (!both.ok()) return both.status();
        all[it.key()] = std::move(*both);
      }
    }
    if (!all.empty()) out["properties"] = std::move(all);
    return additional(a, b, out);
  }

  static Json of_other(const Json &schema, const std::string &key) {
    const auto all = schema.find("properties");
    if (all != schema.end() && all->is_object() && all->contains(key)) return (*all)[key];
    const auto more = schema.find("additionalProperties");
    return more != schema.end() ? *more : Json(true);
  }

  Status additional(const Json &a, const Json &b, Json &out) {
    const auto x = a.find("additionalProperties"), y = b.find("additionalProperties");
    if (x == a.end() && y == b.end()) return ok_status();
    if (x == a.end() || y == b.end()) {
      out["additionalProperties"] = x == a.end() ? *y : *x;
      return ok_status();
    }
    Result<Json> both = merged(*x, *y);
    if (both.ok()) out["additionalProperties"] = std::move(*both);
    return both.status();
  }

  const Json &root_;
  const std::string &path_;
  int &budget_;
  const int depth_;
  bool never_ = false;
};

} // namespace

Result<Json> merge_schemas(const Json &root, const Json &a, const Json &b, const std::string &path, int &budget) {
  return Merger(root, path, budget, 0).run(a, b);
}

} // namespace llmrt::grammar
