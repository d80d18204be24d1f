// GET /openapi.json (https://spec.openapis.org/oas/v3.1.0): the routes of the router's table, and of each the fields that
// its own reader asks for, so that the description cannot differ from what is taken.
#include "runtime/server/endpoints.h"
#include "runtime/server/router.h"
#include "runtime/session/version.h"

#include <limits>

namespace llmrt::server {

namespace {

Json strings() { return Json{{"type", "array"}, {"items", {{"type", "string"}}}}; }

Json schema_of(const FieldShape &shape) {
  std::string type = shape.type;
  if (type == "strings")
    return Json{{"anyOf", Json::array({Json{{"type", "string"}}, strings()})}};
  if (type == "ids")
    return Json{{"type", "array"}, {"items", {{"type", "integer"}}}};
  if (type == "any")
    return Json::object();
  Json out{{"type", type}};
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

Json operation_of(const Route &route, const Model &model, ServerContext &context) {
  Json out{{"summary", route.summary}};
  if (route.describe)
    out["requestBody"] = body_of(route, model, context);
  out["responses"]["200"] = Json{{"description", "The answer"}};
  if (route.describe) {
    out["responses"]["400"] = Json{{"description", "A field that is wrong, named"}};
    out["responses"]["503"] = Json{{"description", "Loading, full or shutting down; see Retry-After"}};
  }
  if (route.needs_key) {
    out["responses"]["401"] = Json{{"description", "The API key is missing"}};
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
  out["components"]["securitySchemes"]["key"] = Json{{"type", "http"}, {"scheme", "bearer"}};
  reply->send(json_response(out));
}

} // namespace llmrt::server
