#include "runtime/server/text_shape.h"

#include "runtime/text/grammar/gbnf.h"
#include "runtime/text/grammar/json_schema.h"
#include "runtime/text/grammar/lark.h"
#include "runtime/text/grammar/regex.h"

#include <memory>

namespace llmrt::server {

namespace {

constexpr size_t kMaxSchemaBytes = 1 << 20, kMaxGrammarBytes = 256 << 10, kMaxChoices = 10000;

// Collects what the fields say; the second one that says something is refused.
class ShapeReader {
public:
  explicit ShapeReader(FieldReader &fields) : fields_(fields) {}

  void json_schema(const std::string &field, const Json &given) {
    auto schema = std::make_shared<Json>(given);
    if (given.is_string()) {
      Result<Json> parsed = parse_json(given.get_ref<const std::string &>());
      if (!parsed.ok())
        return fields_.fail(field, parsed.status().message());
      *schema = std::move(*parsed);
    }
    set(field, "json:" + dump_json(*schema), [schema] { return grammar::json_schema_grammar(*schema); });
  }
  void json_object(const std::string &field) { set(field, "object", grammar::json_object_grammar); }
  void regex(const std::string &field, const Json &value) {
    if (const std::string *text = string(field, value))
      set(field, "regex:" + *text, [text = *text] { return grammar::regex_grammar(text); });
  }
  void source(const std::string &field, const Json &value) {
    if (const std::string *text = string(field, value))
      set(field, "grammar:" + *text, [text = *text] { return grammar_of_source(text); });
  }
  void choice(const std::string &field, const Json &value) {
    bool strings = value.is_array() && !value.empty() && value.size() <= kMaxChoices;
    std::vector<std::string> texts;
    for (size_t i = 0; strings && i < value.size(); ++i)
      if (strings = value[i].is_string(); strings)
        texts.push_back(value[i].get<std::string>());
    if (!strings)
      return fields_.fail(field, "must be a list of at most " + std::to_string(kMaxChoices) + " strings");
    set(field, "choice:" + dump_json(value), [texts] { return choice_grammar(texts); });
  }

  TextShape take() { return std::move(shape_); }

private:
  static Result<grammar::Grammar> choice_grammar(const std::vector<std::string> &texts) {
    grammar::Grammar out;
    grammar::RuleId root = out.add_rule("root");
    std::vector<grammar::NodeId> parts;
    for (const std::string &text : texts)
      parts.push_back(out.literal(text));
    out.define(root, out.choice(parts));
    out.set_root(root);
    return out;
  }

  const std::string *string(const std::string &field, const Json &value) {
    if (value.is_string())
      return &value.get_ref<const std::string &>();
    fields_.fail(field, "must be a string");
    return nullptr;
  }

  void set(const std::string &field, std::string key, std::function<Result<grammar::Grammar>()> make) {
    if (!shape_.any())
      return fields_.fail(field, "and " + shape_.field + " both say what the text must look like; give one");
    size_t most = key.starts_with("grammar:") ? kMaxGrammarBytes : kMaxSchemaBytes;
    if (key.size() > most)
      return fields_.fail(field, "is larger than " + std::to_string(most) + " bytes");
    shape_ = {field, std::move(key), std::move(make)};
  }

  FieldReader &fields_;
  TextShape shape_;
};

void read_response_format(FieldReader &fields, ShapeReader &shape) {
  static constexpr const char *kField = "response_format";
  const Json *format = fields.value(kField);
  if (!format)
    return;
  FieldReader inner(*format);
  std::string type = inner.string("type").value_or("");
  const Json *schema = inner.value("schema"); // llama-server's place for it
  if (type == "json_schema" && inner.value("json_schema")) {
    const Json &named = *inner.value("json_schema");
    FieldReader parts(named);
    parts.string("name");
    parts.string("description");
    parts.boolean("strict"); // the schema is kept to either way
    schema = parts.value("schema");
    if (auto error = parts.finish())
      return fields.fail(kField, "json_schema: " + error->message);
  }
  if (auto error = inner.finish())
    return fields.fail(kField, error->message);
  if (type == "json_schema" && !schema)
    return fields.fail(kField, "json_schema needs a schema");
  if (type == "json_schema" || (type == "json_object" && schema))
    return shape.json_schema(kField, *schema);
  if (type == "json_object")
    return shape.json_object(kField);
  if (type != "text")
    fields.fail(kField, "type must be text, json_object or json_schema");
}

void read_structured_outputs(FieldReader &fields, ShapeReader &shape) {
  static constexpr const char *kField = "structured_outputs";
  const Json *given = fields.value(kField);
  if (!given)
    return;
  FieldReader inner(*given);
  if (const Json *value = inner.value("json"))
    shape.json_schema(kField, *value);
  if (const Json *value = inner.value("regex"))
    shape.regex(kField, *value);
  if (const Json *value = inner.value("choice"))
    shape.choice(kField, *value);
  if (const Json *value = inner.value("grammar"))
    shape.source(kField, *value);
  if (inner.boolean("json_object").value_or(false))
    shape.json_object(kField);
  inner.refuse({"structural_tag", "whitespace_pattern"});
  inner.refuse_unless("disable_any_whitespace", false);
  inner.ignore({"disable_fallback", "disable_additional_properties"}); // both are so anyway
  if (auto error = inner.finish())
    fields.fail(kField, error->message);
}

} // namespace

Result<grammar::Grammar> grammar_of_source(const std::string &text) {
  return text.find("::=") != std::string::npos ? grammar::gbnf_grammar(text) : grammar::lark_grammar(text);
}

TextShape read_text_shape(FieldReader &fields) {
  ShapeReader shape(fields);
  read_response_format(fields, shape);
  read_structured_outputs(fields, shape);
  for (const char *name : {"guided_json", "json_schema"})
    if (const Json *value = fields.value(name))
      shape.json_schema(name, *value);
  for (const char *name : {"guided_grammar", "grammar"})
    if (const Json *value = fields.value(name))
      shape.source(name, *value);
  if (const Json *value = fields.value("guided_regex"))
    shape.regex("guided_regex", *value);
  if (const Json *value = fields.value("guided_choice"))
    shape.choice("guided_choice", *value);
  if (fields.boolean("guided_json_object").value_or(false))
    shape.json_object("guided_json_object");
  fields.refuse({"guided_whitespace_pattern", "structural_tag", "grammar_lazy", "grammar_triggers"});
  fields.ignore({"guided_decoding_backend"}); // there is one
  return shape.take();
}

TextShape read_llama_shape(FieldReader &fields) {
  ShapeReader shape(fields);
  const Json *source = fields.value("grammar", "string"), *schema = fields.value("json_schema");
  if (schema)
    shape.json_schema("json_schema", *schema);
  if (source && *source != "")
    shape.source("grammar", *source);
  fields.refuse_unless("grammar_lazy", false);
  return shape.take();
}

TextShape read_tgi_shape(FieldReader &fields) {
  ShapeReader shape(fields);
  const Json *given = fields.value("grammar", "object");
  if (!given)
    return {};
  FieldReader inner(*given);
  std::string type = inner.string("type").value_or("");
  const Json *value = inner.value("value");
  if (auto error = inner.finish())
    fields.fail("grammar", error->message);
  else if (value && type == "regex")
    shape.regex("grammar", *value);
  else if (value && (type == "json" || type == "json_schema"))
    shape.json_schema("grammar", *value);
  else
    fields.fail("grammar", "must be {\"type\": \"json\" or \"regex\", \"value\": ...}");
  return shape.take();
}

TextShape read_text_format(FieldReader &fields, const Json &format) {
  ShapeReader shape(fields);
  FieldReader inner(format);
  std::string type = inner.string("type").value_or("");
  for (const char *name : {"name", "description"})
    inner.string(name);
  inner.boolean("strict");
  const Json *schema = inner.value("schema");
  if (auto error = inner.finish())
    fields.fail("text", "format: " + error->message);
  else if (type == "json_schema" && schema)
    shape.json_schema("text", *schema);
  else if (type == "json_object" && !schema)
    shape.json_object("text");
  else if (type != "text" || schema)
    fields.fail("text", "format: type must be text, json_object, or json_schema with a schema");
  return shape.take();
}

TextShape after_prelude(TextShape shape, const std::string &key,
                        std::function<grammar::NodeId(grammar::Grammar &)> prelude) {
  shape.key = key + "\n" + shape.key;
  shape.make = [inner = std::move(shape.make), prelude = std::move(prelude)]() -> Result<grammar::Grammar> {
    Result<grammar::Grammar> out = inner();
    if (!out.ok())
      return out;
    grammar::RuleId whole = out->add_rule("answer");
    out->define(whole, out->sequence({prelude(*out), out->rule(out->root())}));
    out->set_root(whole);
    return out;
  };
  return shape;
}

} // namespace llmrt::server
