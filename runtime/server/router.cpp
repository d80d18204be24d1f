#include "runtime/server/router.h"

#include "runtime/server/endpoints.h"

namespace llmrt::server {

namespace {

constexpr Route kRoutes[] = {
    {"/v1/completions", "POST", handle_completions, nullptr, true, describe_completions, "OpenAI: complete a text"},
    {"/v1/chat/completions", "POST", handle_chat_completions, nullptr, true, describe_chat_completions,
     "OpenAI: answer a chat"},
    {"/v1/responses", "POST", handle_responses, nullptr, true, describe_responses, "OpenAI: answer, nothing stored"},
    {"/v1/messages", "POST", handle_messages, nullptr, true, describe_messages, "Anthropic: answer a chat"},
    {"/v1/messages/count_tokens", "POST", handle_count_tokens, nullptr, true, describe_count_tokens,
     "Anthropic: tokens of a chat"},
    {"/completion", "POST", handle_llama_completion, nullptr, true, describe_llama_completion,
     "llama-server: complete a text"},
    {"/generate", "POST", handle_generate, nullptr, true, describe_generate, "TGI: complete a text"},
    {"/generate_stream", "POST", handle_generate_stream, nullptr, true, describe_generate,
     "TGI: complete a text, an event a token"},
    {"/v1/models", "GET", handle_models, nullptr, true, nullptr, "The models"},
    {"/tokenize", "POST", handle_tokenize, nullptr, true, describe_tokenize, "Text to token ids"},
    {"/detokenize", "POST", handle_detokenize, nullptr, true, describe_detokenize, "Token ids to text"},
    {"/apply-template", "POST", handle_apply_template, nullptr, true, describe_apply_template,
     "A chat as the model sees it"},
    {"/openapi.json", "GET", handle_openapi, nullptr, false, nullptr, "This description"},
    {"/health", "GET", nullptr, handle_health, false, nullptr, "Is the model loaded?"},
    {"/ping", "GET", nullptr, handle_ping, false, nullptr, "The same, for load balancers"},
    {"/version", "GET", nullptr, handle_version, false, nullptr, "The program's version"},
    {"/load", "GET", nullptr, handle_load, false, nullptr, "Generations in progress"},
    {"/metrics", "GET", nullptr, handle_metrics, false, nullptr, "Prometheus' text format"},
    {"/v1/embeddings", "POST", nullptr, nullptr, true},
    {"/v1/rerank", "POST", nullptr, nullptr, true},
    {"/v1/score", "POST", nullptr, nullptr, true},
    {"/v1/audio/transcriptions", "POST", nullptr, nullptr, true},
    {"/v1/load_lora_adapter", "POST", nullptr, nullptr, true},
    {"/v1/unload_lora_adapter", "POST", nullptr, nullptr, true},
    {"/", "GET", nullptr, handle_page, false, nullptr, "The chat page"},
    {"/page.css", "GET", nullptr, handle_page, false, nullptr, "Its style"},
    {"/page.js", "GET", nullptr, handle_page, false, nullptr, "Its script"},
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

std::span<const Route> all_routes() { return kRoutes; }

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
