// The keywords of each type.
#include "runtime/base/text.h"
#include "runtime/text/grammar/json_schema_compiler.h"
#include "runtime/text/grammar/regex.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace llmrt::grammar {

namespace {

constexpr uint32_t kMaxCount = 10'000'000;
constexpr size_t kMaxKeyDepth = 200;

// The bytes that `names` share are walked as a tree; this is what starts with one of them.
std::set<std::string> tails(const std::set<std::string> &names, char first) {
  std::set<std::string> out;
  for (const std::string &name : names)
    if (!name.empty() && name[0] == first) out.insert(name.substr(1));
  return out;
}

} // namespace

NodeId SchemaCompiler::typed(const Json &schema, const std::string &type, const std::string &path) {
  if (type == "object") return object(schema, path);
  if (type == "array") return array(schema, path);
  if (type == "string") return string(schema, path);
  if (type == "integer") return number(schema, true, path);
  if (type == "number") return number(schema, false, path);
  if (type == "boolean") return grammar_.choice({parts_.token("true"), parts_.token("false")});
  if (type == "null") return parts_.token("null");
  return fail(child_path(path, "type"), "there is no type " + type.substr(0, 100));
}

// True: the keyword is there.
bool SchemaCompiler::count(const Json &schema, const char *keyword, const std::string &path, uint32_t &value) {
  const Json *found = member(schema, keyword);
  if (!found) return false;
  const bool whole = found->is_number() && found->get<double>() >= 0 && found->get<double>() <= kMaxCount &&
                     std::floor(found->get<double>()) == found->get<double>();
  if (whole) value = uint32_t(found->get<double>());
  else fail(child_path(path, keyword), "must be a whole number from 0 to " + std::to_string(kMaxCount));
  return true;
}

NodeId SchemaCompiler::string(const Json &schema, const std::string &path) {
  uint32_t least = 0, most = kUnbounded;
  const bool has_least = count(schema, "minLength", path, least), has_most = count(schema, "maxLength", path, most);
  const Json *pattern = member(schema, "pattern"), *format = member(schema, "format");
  if (failed()) return grammar_.never();
  if (!pattern && !format) {
    if (!has_least && !has_most) return parts_.string();
    return most < least ? grammar_.never() : small(parts_.string(least, most));
  }
  const char *keyword = pattern ? "pattern" : "format";
  const std::string where = child_path(path, keyword);
  if (has_least || has_most || (pattern && format))
    return unsupported(where, "together with " + std::string(pattern && format ? "format" : "minLength or maxLength") +
                                  " is not supported; put the length into the pattern");
  if (!(pattern ? pattern : format)->is_string()) return fail(where, "must be a string");
  const std::string text = (pattern ? pattern : format)->get<std::string>();
  const char *known = pattern ? text.c_str() : regex_of_format(text);
  if (!known) return unsupported(where, "the format " + text.substr(0, 100) + " is not supported");
  Result<NodeId> body = add_regex(grammar_, pattern ? std::string_view(text) : std::string_view(known),
                                  pattern ? RegexMatch::kSearch : RegexMatch::kWhole, Spelling::kJsonString);
  if (!body.ok()) return fail(where, body.status().message(), body.status().code());
  return small(grammar_.sequence({parts_.token("\""), *body, parts_.token("\"")}));
}

// The tighter of the inclusive and the exclusive bound.
std::optional<NumberBound> SchemaCompiler::bound(const Json &schema, bool low, const std::string &path) {
  std::optional<NumberBound> out;
  double value = 0;
  for (const bool inclusive : {true, false}) {
    const char *keyword = low ? (inclusive ? "minimum" : "exclusiveMinimum") : (inclusive ? "maximum" : "exclusiveMaximum");
    const Json *found = member(schema, keyword);
    if (!found) continue;
    if (!found->is_number() || !std::isfinite(found->get<double>())) {
      fail(child_path(path, keyword), "must be a number");
      continue;
    }
    const double given = found->get<double>();
    const bool tighter = !out || (low ? given >= value : given <= value);
    if (!tighter) continue;
    value = given;
    out = NumberBound{found->is_number_integer() ? found->dump() : format_number(given), inclusive};
    if (out->value.find_first_of("eE") != std::string::npos)
      unsupported(child_path(path, keyword), "a bound of this size is not supported");
  }
  return out;
}

NodeId SchemaCompiler::number(const Json &schema, bool whole, const std::string &path) {
  const std::optional<NumberBound> low = bound(schema, true, path), high = bound(schema, false, path);
  if (failed()) return grammar_.never();
  if (!low && !high) return whole ? parts_.integer() : parts_.number();
  Result<NodeId> out = whole ? integers_between(grammar_, low, high) : numbers_between(grammar_, low, high);
  if (!out.ok()) return fail(path, out.status().message(), out.status().code());
  return small(*out);
}

NodeId SchemaCompiler::array(const Json &schema, const std::string &path) {
  uint32_t least = 0, most = kUnbounded;
  count(schema, "minItems", path, least);
  count(schema, "maxItems", path, most);
  const Json *prefix = member(schema, "prefixItems"), *items = member(schema, "items");
  if (prefix && !prefix->is_array()) return fail(child_path(path, "prefixItems"), "must be a list of schemas");
  if (items && items->is_array())
    return unsupported(child_path(path, "items"), "a list is not supported; use prefixItems");
  const uint32_t fixed = prefix ? uint32_t(prefix->size()) : 0;
  // A list of fixed items is closed unless the schema says otherwise, or asks for more.
  const bool open = items ? *items != false : fixed == 0 || least > fixed;
  if (!open) most = std::min(most, fixed);
  if (failed() || most < least) return grammar_.never();
  const NodeId item = open && most > fixed
                          ? small(grammar_.sequence({items ? compile(*items, child_path(path, "items")) : parts_.value(),
                                                     parts_.space()}))
                          : grammar_.never();
  // From the last item to the first: what may follow the i-th.
  NodeId rest = grammar_.empty();
  const uint32_t taken = std::min(fixed, most);
  if (open && most > fixed) {
    const uint32_t first = fixed == 0 ? 1 : 0; // the first of all has no comma
    const uint32_t more = most == kUnbounded ? kUnbounded : most - fixed - first;
    const uint32_t needed = least > fixed + first ? least - fixed - first : 0;
    rest = grammar_.repeat(grammar_.sequence({parts_.separator(), item}), needed, more);
    if (first) rest = grammar_.sequence({item, rest});
    if (first && least == 0) rest = grammar_.optional(rest);
  }
  for (uint32_t i = taken; i-- > 0 && !failed();) {
    const NodeId value = compile((*prefix)[i], child_path(child_path(path, "prefixItems"), std::to_string(i)));
    const NodeId one = grammar_.sequence({small(value), parts_.space(), rest});
    rest = i == 0 ? one : grammar_.sequence({parts_.separator(), one});
    if (least <= i) rest = grammar_.optional(rest);
  }
  return small(parts_.enclosed("[", rest, "]"));
}

NodeId SchemaCompiler::property(const std::string &name, const Json &schema, const std::string &path) {
  const std::string key = Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
  return parts_.member(grammar_.literal(key), small(compile(schema, child_path(child_path(path, "properties"), name))));
}

// A key that is none of `names`, without escapes, and its closing quote.
NodeId SchemaCompiler::other_key(const std::set<std::string> &names, size_t depth) {
  const CharSet plain = CharSet({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}, {0x7f, 0x7f}}).complement();
  const NodeId any = grammar_.sequence({grammar_.repeat(grammar_.chars(plain), 0, kUnbounded), parts_.token("\"")});
  if (names.empty()) return any;
  if (depth > kMaxKeyDepth) return grammar_.never(); // only keys that share 200 characters with a name are lost
  CharSet others = plain;
  std::vector<NodeId> out;
  if (!names.count("")) out.push_back(parts_.token("\""));
  for (int c = 0x20; c < 0x7f; ++c) {
    const std::set<std::string> next = tails(names, char(c));
    if (next.empty() || !plain.contains(uint32_t(c))) continue;
    others.remove({{uint32_t(c), uint32_t(c)}});
    out.push_back(grammar_.sequence({parts_.token(std::string(1, char(c))), other_key(next, depth + 1)}));
  }
  const bool wide = std::any_of(names.begin(), names.end(), [](auto &name) { return !name.empty() && name[0] < 0; });
  if (wide) others.remove({{0x80, 0x10ffff}}); // simpler than a tree of their bytes
  out.push_back(grammar_.sequence({grammar_.chars(others), any}));
  return grammar_.choice(out);
}

NodeId SchemaCompiler::object(const Json &schema, const std::string &path) {
  const Json *properties = member(schema, "properties"), *required = member(schema, "required");
  const Json *more = member(schema, "additionalProperties");
  if (properties && !properties->is_object()) return fail(child_path(path, "properties"), "must be an object");
  if (required && !required->is_array()) return fail(child_path(path, "required"), "must be a list of names");
  const bool named = (properties && !properties->empty()) || (required && !required->empty());
  if (!named) return map(schema, path);
  for (const char *keyword : {"patternProperties", "propertyNames", "minProperties", "maxProperties"}) {
    const bool harmless = std::string_view(keyword) == "minProperties" && required && member(schema, keyword) &&
                          member(schema, keyword)->is_number() && *member(schema, keyword) <= required->size();
    if (member(schema, keyword) && !harmless)
      return unsupported(child_path(path, keyword), "together with properties or required is not supported");
  }
  std::set<std::string> names, needed;
  for (const Json &name : required ? *required : Json::array()) {
    if (!name.is_string()) return fail(child_path(path, "required"), "must be a list of names");
    needed.insert(name.get<std::string>());
  }
  std::vector<NodeId> members;
  const auto add = [&](const std::string &name, const Json &value) {
    names.insert(name);
    if (value == false && !needed.count(name)) return; // never there
    const NodeId one = property(name, value, path);
    members.push_back(needed.count(name) ? one : grammar_.repeat(one, 0, 1));
  };
  if (properties)
    for (auto it = properties->begin(); it != properties->end() && !failed(); ++it) add(it.key(), it.value());
  for (const std::string &name : needed)
    if (!names.count(name) && !failed()) add(name, more ? *more : Json(true));
  if (more && *more != false && !failed()) {
    const NodeId value = small(compile(*more, child_path(path, "additionalProperties")));
    const NodeId key = grammar_.sequence({parts_.token("\""), other_key(names, 0)});
    members.push_back(grammar_.repeat(parts_.member(small(key), value), 0, kUnbounded));
  }
  return small(parts_.enclosed("{", grammar_.join(parts_.separator(), members), "}"));
}

NodeId SchemaCompiler::key_of_map(const Json &schema, const std::string &path) {
  const Json *names = member(schema, "propertyNames"), *patterns = member(schema, "patternProperties");
  if (!names && !patterns) return parts_.string();
  if (names && patterns) return unsupported(child_path(path, "propertyNames"), "beside patternProperties is not supported");
  if (names) {
    const std::string where = child_path(path, "propertyNames");
    if (names->is_boolean()) return *names == true ? parts_.string() : grammar_.never();
    return compile(merged(*names, Json{{"type", "string"}}, where), where);
  }
  return string(Json{{"pattern", patterns->begin().key()}}, child_path(path, "patternProperties"));
}

// An object without names of its own: any keys, or keys of a kind.
NodeId SchemaCompiler::map(const Json &schema, const std::string &path) {
  const Json *patterns = member(schema, "patternProperties"), *more = member(schema, "additionalProperties");
  uint32_t least = 0, most = kUnbounded;
  count(schema, "minProperties", path, least);
  count(schema, "maxProperties", path, most);
  if (least > 1) // keys may come twice, and count once
    return unsupported(child_path(path, "minProperties"), "above 1 is not supported; name the properties");
  if (patterns && (!patterns->is_object() || patterns->size() != 1))
    return unsupported(child_path(path, "patternProperties"), "only one pattern is supported");
  if (patterns && more && *more != false)
    return unsupported(child_path(path, "additionalProperties"), "beside patternProperties is not supported but false");
  if (failed() || most < least) return grammar_.never();
  const Json any = true;
  const Json *value = patterns ? &*patterns->begin() : more ? more : &any;
  // `properties: {}` lists all there are, as a longer list would.
  const bool closed = *value == false || (!patterns && !more && member(schema, "properties"));
  if (closed || most == 0) return least > 0 ? grammar_.never() : parts_.enclosed("{", grammar_.empty(), "}");
  if (*value == true && !member(schema, "propertyNames") && !patterns && least == 0 && most == kUnbounded)
    return parts_.object();
  const std::string where = child_path(path, patterns ? "patternProperties" : "additionalProperties");
  const NodeId one = small(parts_.member(small(key_of_map(schema, path)), small(compile(*value, where))));
  const NodeId all = grammar_.sequence(
      {one, grammar_.repeat(grammar_.sequence({parts_.separator(), one}), 0, most == kUnbounded ? most : most - 1)});
  return small(parts_.enclosed("{", least > 0 ? all : grammar_.optional(all), "}"));
}

} // namespace llmrt::grammar
