#include "runtime/server/router.h"

#include "runtime/server/endpoints.h"

namespace llmrt::server {

namespace {

using ModelHandler = void (*)(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
using PlainHandler = void (*)(ServerContext &, const HttpRequest &, const ReplyPtr &);

struct Route {
  const char *path;
  const char *method;
  ModelHandler with_model; // null: `plain`
  PlainHandler plain;      // both null: of the conventions, and not there yet
  bool needs_key;
};

constexpr Route kRoutes[] = {
    {"/v1/completions", "POST", handle_completions, nullptr, true},
    {"/v1/chat/completions", "POST", handle_chat_completions, nullptr, true},
    {"/v1/models", "GET", handle_models, nullptr, true},
    {"/tokenize", "POST", handle_tokenize, nullptr, true},
    {"/detokenize", "POST", handle_detokenize, nullptr, true},
    {"/apply-template", "POST", handle_apply_template, nullptr, true},
    {"/health", "GET", nullptr, handle_health, false},
    {"/ping", "GET", nullptr, handle_ping, false},
    {"/version", "GET", nullptr, handle_version, false},
    {"/load", "GET", nullptr, handle_load, false},
    {"/metrics", "GET", nullptr, handle_metrics, false},
    {"/v1/responses", "POST", nullptr, nullptr, true},
    {"/v1/embeddings", "POST", nullptr, nullptr, true},
    {"/v1/rerank", "POST", nullptr, nullptr, true},
    {"/v1/score", "POST", nullptr, nullptr, true},
    {"/v1/audio/transcriptions", "POST", nullptr, nullptr, true},
    {"/v1/messages", "POST", nullptr, nullptr, true},
    {"/v1/load_lora_adapter", "POST", nullptr, nullptr, true},
    {"/v1/unload_lora_adapter", "POST", nullptr, nullptr, true},
    {"/", "GET", nullptr, nullptr, false},
};

const Route *find_route(const std::string &path) {
  for (const Route &route : kRoutes)
    if (path == route.path)
      return &route;
  return nullptr;
}

bool has_key(const ServerConfig &config, const HttpRequest &request) {
  static constexpr std::string_view kBearer = "Bearer ";
  std::string given = request.api_key;
  if (request.authorization.compare(0, kBearer.size(), kBearer) == 0)
    given = request.authorization.substr(kBearer.size());
  bool found = false;
  for (const std::string &key : config.api_keys)
    found = equal_in_constant_time(given, key) || found;
  return found;
}

} // namespace

bool equal_in_constant_time(const std::string &given, const std::string &key) {
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    char other = key.empty() ? '\0' : key[i % key.size()];
    difference |= static_cast<unsigned char>(given[i] ^ other);
  }
  return difference == 0;
}

std::string handler_label(const std::string &path) { return find_route(path) ? path : "none"; }

void route(ServerContext &context, const HttpRequest &request, const ReplyPtr &reply) {
  const Route *found = find_route(request.path);
  if (!found)
    return reply->send(error_response({404, "there is no endpoint " + request.path, {}, 0}));
  if (request.method == "OPTIONS") { // a browser asks before it sends; the connection adds the CORS headers
    HttpResponse answer{204, "", "", {{"Allow", std::string(found->method) + ", OPTIONS"}}};
    return reply->send(std::move(answer));
  }
  if (request.method != found->method) {
    HttpResponse answer = error_response({405, request.path + " takes " + found->method + " only", {}, 0});
    answer.headers.emplace_back("Allow", found->method);
    return reply->send(std::move(answer));
  }
  if (found->needs_key && !context.config.api_keys.empty() && !has_key(context.config, request))
    return reply->send(error_response({401, "this server needs its API key: Authorization: Bearer KEY", {}, 0}));
  if (found->plain)
    return found->plain(context, request, reply);
  if (!found->with_model)
    return reply->send(error_response({501, std::string(found->path) + " is not there yet in this version", {}, 0}));
  const Model *model = context.model.load();
  if (!model)
    return reply->send(error_response({503, "Loading model", {}, 1}));
  found->with_model(context, *model, request, reply);
}

} // namespace llmrt::server
