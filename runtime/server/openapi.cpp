// GET /openapi.json (https://spec.openapis.org/oas/v3.1.0): the routes of the router's table, and of each the fields that
// its own reader asks for, so that the description cannot differ from what is taken.
#include "runtime/server/endpoints.h"
#include "runtime/server/page/page_files.h"
#include "runtime/server/router.h"
#include "runtime/session/version.h"

#include <limits>

namespace llmrt::server {

namespace {

Json strings() { return Json{{"type", "array"}, {"items", {{"type", "string"}}}}; }

// A null is an absent field: every type has it.
Json schema_of(const FieldShape &shape) {
  std::string type = shape.type;
  if (type == "strings")
    return Json{{"anyOf", Json::array({Json{{"type", Json::array({"string", "null"})}}, strings()})}};
  if (type == "ids")
    return Json{{"type", Json::array({"array", "null"})}, {"items", {{"type", "integer"}}}};
  if (type == "any")
    return Json::object();
  Json out{{"type", Json::array({type, "null"})}};
  if (type != "integer" && type != "number")
    return out;
  // Bounds that are those of the type itself say nothing.
  static constexpr double kHuge = 1e15;
  if (shape.least > -kHuge)
    out["minimum"] = shape.least;
  if (shape.most < kHuge)
    out["maximum"] = shape.most;
  return out;
}

Json body_of(const Route &route, const Model &model, ServerContext &context) {
  std::vector<FieldShape> shapes;
  const Json nothing = Json::object();
  FieldReader reader(nothing, &shapes);
  reader.string("model");
  route.describe(reader, model, context);
  Json properties = Json::object(), refused = Json::array();
  for (const FieldShape &shape : shapes) {
    if (shape.supported)
      properties[shape.name] = schema_of(shape);
    else
      refused.push_back(shape.name);
  }
  Json schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  schema["x-refused"] = std::move(refused); // known, and a 400 unless they change nothing
  return Json{{"required", true}, {"content", {{"application/json", {{"schema", std::move(schema)}}}}}};
}

Json answer_of(const char *description, const char *type) {
  return Json{{"description", description}, {"content", {{type, Json::object()}}}};
}

Json error_of(const char *description) {
  Json schema{{"$ref", "#/components/schemas/Error"}};
  return Json{{"description", description}, {"content", {{"application/json", {{"schema", std::move(schema)}}}}}};
}

Json good_answer_of(const Route &route, const Json &body) {
  const std::string path = route.path;
  for (const PageFile &file : page_files())
    if (path == file.path)
      return answer_of("The file", file.content_type);
  if (path == "/metrics")
    return answer_of("Prometheus' text", "text/plain");
  if (path == "/generate_stream")
    return answer_of("Events", "text/event-stream");
  Json out = answer_of("The answer", "application/json");
  if (!body.is_null() && body["content"]["application/json"]["schema"]["properties"].contains("stream"))
    out["content"]["text/event-stream"] = Json::object();
  return out;
}

Json operation_of(const Route &route, const Model &model, ServerContext &context) {
  Json out{{"summary", route.summary}}, body;
  if (route.describe)
    out["requestBody"] = body = body_of(route, model, context);
  Json &responses = out["responses"];
  responses["200"] = good_answer_of(route, body);
  responses["400"] = error_of("What is wrong, and the field that it is in");
  if (route.describe) {
    responses["404"] = error_of("There is no such model");
    responses["413"] = error_of("The body is too large");
    responses["422"] = error_of("What 400 is elsewhere, for TGI's endpoints");
    responses["504"] = error_of("The generation took longer than its deadline");
  }
  if (route.with_model || std::string_view(route.path) == "/health" || std::string_view(route.path) == "/ping")
    responses["503"] = error_of("Loading, full or shutting down; see Retry-After");
  if (route.needs_key) {
    responses["401"] = error_of("The API key is missing");
    out["security"] = Json::array({Json{{"key", Json::array()}}});
  }
  return out;
}

} // namespace

void handle_openapi(ServerContext &context, const Model &model, const HttpRequest &, const ReplyPtr &reply) {
  Json out{{"openapi", "3.1.0"}, {"info", {{"title", "llmrt"}, {"version", kVersion}}}};
  out["paths"] = Json::object();
  for (const Route &route : all_routes()) {
    if (!route.with_model && !route.plain)
      continue;
    std::string method = route.method == std::string_view("POST") ? "post" : "get";
    out["paths"][route.path][method] = operation_of(route, model, context);
  }
  // In OpenAI's dialect an object, in TGI's a text.
  out["components"]["schemas"]["Error"] = Json{{"type", "object"}, {"required", Json::array({"error"})}};
  out["components"]["securitySchemes"]["key"] = Json{{"type", "http"}, {"scheme", "bearer"}};
  reply->send(json_response(out));
}

} // namespace llmrt::server
