// GET /health, /ping, /version, /load, /metrics.
#include "runtime/server/endpoints.h"
#include "runtime/server/page/page_files.h"
#include "runtime/session/version.h"

namespace llmrt::server {

HttpResponse error_response(const ApiError &error) {
  HttpResponse out = json_response(error_json(error), error.status);
  if (error.retry_after > 0)
    out.headers.emplace_back("Retry-After", std::to_string(error.retry_after));
  if (error.status == 401)
    out.headers.emplace_back("WWW-Authenticate", "Bearer");
  return out;
}

void handle_health(ServerContext &context, const HttpRequest &, const ReplyPtr &reply) {
  if (context.models.ready())
    return reply->send(json_response(Json{{"status", "ok"}}));
  // llama-server's words, which probes look for.
  Json error{{"code", 503}, {"message", "Loading model"}, {"type", "unavailable_error"}};
  reply->send(json_response(Json{{"error", std::move(error)}}, 503));
}

void handle_ping(ServerContext &context, const HttpRequest &http, const ReplyPtr &reply) {
  if (!context.models.ready())
    return handle_health(context, http, reply);
  reply->send({200, "application/json", "", {}});
}

void handle_version(ServerContext &, const HttpRequest &, const ReplyPtr &reply) {
  reply->send(json_response(Json{{"version", kVersion}}));
}

void handle_load(ServerContext &context, const HttpRequest &, const ReplyPtr &reply) {
  reply->send(json_response(Json{{"server_load", context.in_flight.load()}}));
}

void handle_metrics(ServerContext &context, const HttpRequest &, const ReplyPtr &reply) {
  static constexpr const char *kType = "text/plain; version=0.0.4; charset=utf-8";
  reply->send({200, kType, context.metrics.render(context.models.readings()), {}});
}

void handle_page(ServerContext &, const HttpRequest &http, const ReplyPtr &reply) {
  for (const PageFile &file : page_files()) {
    if (http.path != file.path)
      continue;
    HttpResponse answer{200, file.content_type, std::string(file.text), {}};
    // Nothing but its own files and this server; no inline script or style, and no text can become markup.
    answer.headers = {{"Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                       "require-trusted-types-for 'script'; trusted-types 'none'"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}};
    return reply->send(std::move(answer));
  }
  reply->send(error_response({404, "there is no endpoint " + http.path, {}, 0}));
}

} // namespace llmrt::server
