#include "runtime/text/grammar/json_schema.h"

#include "runtime/text/grammar/json_schema_compiler.h"
#include "runtime/text/grammar/spelling.h"

#include <algorithm>
#include <vector>

namespace llmrt::grammar {

namespace {

struct Keyword {
  std::string_view name;
  std::string_view type; // that it is about; empty: any
};

constexpr Keyword kKeywords[] = {
    {"$ref", ""}, {"allOf", ""}, {"anyOf", ""}, {"oneOf", ""}, {"const", ""}, {"enum", ""}, {"type", ""},
    {"minLength", "string"}, {"maxLength", "string"}, {"pattern", "string"}, {"format", "string"},
    {"minimum", "number"}, {"maximum", "number"}, {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},
    {"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"}, {"maxItems", "array"},
    {"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"},
    {"patternProperties", "object"}, {"propertyNames", "object"}, {"minProperties", "object"},
    {"maxProperties", "object"}};

const Keyword *find_keyword(std::string_view name) {
  const auto found = std::find_if(std::begin(kKeywords), std::end(kKeywords), [&](auto &k) { return k.name == name; });
  return found == std::end(kKeywords) ? nullptr : found;
}

// Keywords that are not supported but, with this value, hold for everything.
bool says_nothing(std::string_view name, const Json &value) {
  return (name == "uniqueItems" && value == false) || (name == "nullable" && value == false) ||
         (name == "unevaluatedProperties" && value == true) || (name == "unevaluatedItems" && value == true);
}

} // namespace

NodeId SchemaCompiler::fail(const std::string &path, const std::string &what, StatusCode code) {
  if (!error_) error_ = schema_error(code, path, what);
  return grammar_.never();
}

const Json *SchemaCompiler::member(const Json &schema, const char *keyword) const {
  const auto found = schema.find(keyword);
  return found == schema.end() ? nullptr : &*found;
}

NodeId SchemaCompiler::small(NodeId node) {
  return grammar_.node(node).weight > 32 ? grammar_.shared("of the schema", node) : node;
}

Json SchemaCompiler::merged(const Json &a, const Json &b, const std::string &path) {
  Result<Json> out = merge_schemas(root_, a, b, path, merges_left_);
  if (out.ok()) return std::move(*out);
  if (!error_) error_ = out.status();
  return false;
}

NodeId SchemaCompiler::compile(const Json &schema, const std::string &path) {
  if (failed()) return grammar_.never();
  if (++schemas_ > kMaxSchemas) return fail(path, "the schema is too large", StatusCode::kExhausted);
  if (schema == true) return parts_.value();
  if (schema == false) return grammar_.never();
  if (!schema.is_object()) return fail(path, "a schema must be an object, true or false");
  check_keywords(schema, path);
  if (failed()) return grammar_.never();
  if (++depth_ > kMaxDepth) return fail(path, "the schema is nested too deep", StatusCode::kExhausted);
  const NodeId out = compile_object_of_keywords(schema, path);
  --depth_;
  return out;
}

NodeId SchemaCompiler::run() {
  const NodeId out = compile(root_, "#");
  for (size_t i = 0; i < pending_.size() && !failed(); ++i) {
    const auto [schema, rule] = pending_[i];
    const std::string path = grammar_.rule_name(rule); // a copy: compiling adds rules
    grammar_.define(rule, compile(*schema, path));
  }
  return out;
}

void SchemaCompiler::check_keywords(const Json &schema, const std::string &path) {
  for (auto it = schema.begin(); it != schema.end(); ++it)
    if (!find_keyword(it.key()) && !is_annotation(it.key()) && !says_nothing(it.key(), it.value()))
      unsupported(child_path(path, it.key()), "the keyword " + it.key().substr(0, 100) + " is not supported");
}

bool SchemaCompiler::says_more(const Json &schema, std::string_view but) const {
  for (auto it = schema.begin(); it != schema.end(); ++it)
    if (it.key() != but && find_keyword(it.key())) return true;
  return false;
}

NodeId SchemaCompiler::compile_object_of_keywords(const Json &schema, const std::string &path) {
  if (schema.contains("$ref")) return reference(schema, path);
  if (schema.contains("allOf")) return all_of(schema, path);
  if (schema.contains("anyOf")) return any_of(schema, "anyOf", path);
  if (schema.contains("oneOf")) return any_of(schema, "oneOf", path);
  if (schema.contains("const") || schema.contains("enum")) return listed(schema, path);
  std::vector<std::string> types;
  if (const Json *type = member(schema, "type")) {
    const Json list = type->is_array() ? *type : Json::array({*type});
    for (const Json &one : list) {
      if (!one.is_string()) return fail(child_path(path, "type"), "must be the name of a type or a list of names");
      types.push_back(one.get<std::string>());
    }
    if (types.empty()) return fail(child_path(path, "type"), "the list is empty");
  } else {
    for (const char *type : {"object", "array", "string", "number"})
      for (auto it = schema.begin(); it != schema.end(); ++it)
        if (const Keyword *keyword = find_keyword(it.key());
            keyword && keyword->type == type && (types.empty() || types.back() != type))
          types.emplace_back(type);
    if (types.empty()) return parts_.value();
  }
  std::vector<NodeId> out;
  for (const std::string &type : types) out.push_back(typed(schema, type, path));
  return grammar_.choice(out);
}

// Each schema that is referred to becomes one rule, so that it may refer to itself.
NodeId SchemaCompiler::reference(const Json &schema, const std::string &path) {
  const Result<const Json *> target = resolve_reference(root_, schema["$ref"], path);
  if (!target.ok()) {
    if (!error_) error_ = target.status();
    return grammar_.never();
  }
  if (says_more(schema, "$ref")) {
    Json rest = schema;
    rest.erase("$ref");
    return compile(merged(**target, rest, path), path);
  }
  const auto [at, is_new] = rules_.try_emplace(*target, 0);
  if (is_new) {
    at->second = grammar_.add_rule(schema["$ref"].get<std::string>());
    pending_.emplace_back(*target, at->second); // not now: references may form long chains
  }
  return grammar_.rule(at->second);
}

NodeId SchemaCompiler::all_of(const Json &schema, const std::string &path) {
  const Json &parts = schema["allOf"];
  if (!parts.is_array() || parts.empty()) return fail(child_path(path, "allOf"), "must be a list of schemas");
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].is_object()) check_keywords(parts[i], child_path(child_path(path, "allOf"), std::to_string(i)));
  if (failed()) return grammar_.never();
  if (parts.size() == 1 && !says_more(schema, "allOf"))
    return compile(parts[0], child_path(child_path(path, "allOf"), "0"));
  Json all = schema;
  all.erase("allOf");
  for (size_t i = 0; i < parts.size() && !failed(); ++i) all = merged(all, parts[i], path);
  return compile(all, path);
}

NodeId SchemaCompiler::any_of(const Json &schema, const std::string &keyword, const std::string &path) {
  const Json &branches = schema[keyword];
  const std::string where = child_path(path, keyword);
  if (!branches.is_array() || branches.empty()) return fail(where, "must be a list of schemas");
  Json rest = schema;
  rest.erase(keyword);
  const bool more = says_more(rest, "");
  if (keyword == "oneOf") expect_exclusive(branches, where);
  std::vector<NodeId> out;
  for (size_t i = 0; i < branches.size() && !failed(); ++i) {
    const std::string branch = child_path(where, std::to_string(i));
    if (branches[i].is_object()) check_keywords(branches[i], branch);
    if (!failed()) out.push_back(compile(more ? merged(rest, branches[i], branch) : branches[i], branch));
  }
  return grammar_.choice(out);
}

// A text of one branch must not be valid under another one too: that can be promised only where they cannot meet.
void SchemaCompiler::expect_exclusive(const Json &branches, const std::string &path) {
  for (size_t i = 0; i < branches.size() && !failed(); ++i)
    for (size_t j = i + 1; j < branches.size() && !failed(); ++j)
      if (!schemas_exclude(root_, branches[i], branches[j], looks_left_))
        unsupported(path, "a value may be valid under both " + std::to_string(i) + " and " + std::to_string(j) +
                              "; use anyOf, or give them different types or a required property with different "
                              "constants");
}

NodeId SchemaCompiler::listed(const Json &schema, const std::string &path) {
  Json values = Json::array();
  if (const Json *all = member(schema, "enum")) {
    if (!all->is_array() || all->empty()) return fail(child_path(path, "enum"), "must be a list of values");
    values = *all;
  }
  if (const Json *value = member(schema, "const")) {
    const bool listed = values.empty() || std::find(values.begin(), values.end(), *value) != values.end();
    values = listed ? Json::array({*value}) : Json::array();
  }
  const Json *type = member(schema, "type");
  std::vector<NodeId> out;
  for (auto it = schema.begin(); it != schema.end(); ++it)
    if (const Keyword *keyword = find_keyword(it.key()); keyword && !keyword->type.empty())
      return unsupported(child_path(path, it.key()), "beside enum or const is not supported");
  for (const Json &value : values) {
    const auto admits = [&](const Json &name) { return name.is_string() && type_admits(name.get<std::string>(), type_of(value)); };
    const bool fits = !type || (type->is_array() ? std::any_of(type->begin(), type->end(), admits) : admits(*type));
    if (fits) out.push_back(grammar_.literal(value.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  return small(grammar_.choice(out));
}

Result<NodeId> add_json_schema(Grammar &grammar, const Json &schema) {
  SchemaCompiler compiler(grammar, schema);
  const NodeId out = compiler.run();
  if (Status status = compiler.status(); !status.ok()) return status;
  if (Status status = grammar.check(); !status.ok()) return status;
  return out;
}

Result<Grammar> json_schema_grammar(const Json &schema) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  Result<NodeId> body = add_json_schema(grammar, schema);
  if (!body.ok()) return body.status();
  grammar.define(root, *body);
  grammar.set_root(root);
  return grammar;
}

Result<Grammar> json_object_grammar() { return json_schema_grammar(Json{{"type", "object"}}); }

} // namespace llmrt::grammar
