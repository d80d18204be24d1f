// From a schema to nodes; json_schema.cpp has what holds for every type, json_schema_types.cpp the types.
#pragma once

#include "runtime/text/grammar/json_parts.h"
#include "runtime/text/grammar/json_schema_tools.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace llmrt::grammar {

class SchemaCompiler {
public:
  SchemaCompiler(Grammar &grammar, const Json &root) : grammar_(grammar), root_(root), parts_(grammar) {}

  // The first error is kept; nodes made after it mean nothing.
  NodeId run();
  Status status() const { return error_.value_or(ok_status()); }

private:
  static constexpr int kMaxSchemas = 20000, kMaxMerges = 2000, kMaxLooks = 10000, kMaxDepth = 150;

  bool failed() const { return error_.has_value(); }
  NodeId fail(const std::string &path, const std::string &what, StatusCode code = StatusCode::kInvalidArgument);
  NodeId unsupported(const std::string &path, const std::string &what) {
    return fail(path, what, StatusCode::kUnsupported);
  }

  NodeId compile(const Json &schema, const std::string &path);
  NodeId compile_object_of_keywords(const Json &schema, const std::string &path);
  NodeId reference(const Json &schema, const std::string &path);
  NodeId all_of(const Json &schema, const std::string &path);
  NodeId any_of(const Json &schema, const std::string &keyword, const std::string &path);
  NodeId listed(const Json &schema, const std::string &path);
  void expect_exclusive(const Json &branches, const std::string &path);
  bool says_more(const Json &schema, std::string_view but) const;
  void check_keywords(const Json &schema, const std::string &path);
  Json merged(const Json &a, const Json &b, const std::string &path);

  NodeId typed(const Json &schema, const std::string &type, const std::string &path);
  NodeId string(const Json &schema, const std::string &path);
  NodeId number(const Json &schema, bool whole, const std::string &path);
  NodeId array(const Json &schema, const std::string &path);
  NodeId object(const Json &schema, const std::string &path);
  NodeId map(const Json &schema, const std::string &path);
  NodeId key_of_map(const Json &schema, const std::string &path);
  NodeId other_key(const std::set<std::string> &names, size_t depth);
  NodeId property(const std::string &name, const Json &schema, const std::string &path);
  NodeId small(NodeId node); // a rule of its own where it is large
  std::optional<NumberBound> bound(const Json &schema, bool low, const std::string &path);
  bool count(const Json &schema, const char *keyword, const std::string &path, uint32_t &value);
  const Json *member(const Json &schema, const char *keyword) const;

  Grammar &grammar_;
  const Json &root_;
  JsonParts parts_;
  std::map<const Json *, RuleId> rules_; // of schemas that are referred to
  std::optional<Status> error_;
  std::vector<std::pair<const Json *, RuleId>> pending_; // of rules_, not compiled yet
  int depth_ = 0;
  int schemas_ = 0, merges_left_ = kMaxMerges, looks_left_ = kMaxLooks;
};

} // namespace llmrt::grammar
