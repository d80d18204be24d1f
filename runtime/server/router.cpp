#include "runtime/server/router.h"

#include "runtime/server/endpoints.h"

namespace llmrt::server {

namespace {

constexpr Route kRoutes[] = {
    {"/v1/completions", "POST", handle_completions, nullptr, true, describe_completions, "OpenAI: complete a text"},
    {"/v1/chat/completions", "POST", handle_chat_completions, nullptr, true, describe_chat_completions,
     "OpenAI: answer a chat"},
    {"/v1/responses", "POST", handle_responses, nullptr, true, describe_responses, "OpenAI: answer, nothing stored"},
    {"/v1/messages", "POST", handle_messages, nullptr, true, describe_messages, "Anthropic: answer a chat",
     messages_error_response},
    {"/v1/messages/count_tokens", "POST", handle_count_tokens, nullptr, true, describe_count_tokens,
     "Anthropic: tokens of a chat", messages_error_response},
    {"/completion", "POST", handle_llama_completion, nullptr, true, describe_llama_completion,
     "llama-server: complete a text"},
    {"/generate", "POST", handle_generate, nullptr, true, describe_generate, "TGI: complete a text",
     tgi_error_response},
    {"/generate_stream", "POST", handle_generate_stream, nullptr, true, describe_generate,
     "TGI: complete a text, an event a token", tgi_error_response},
    {"/v1/embeddings", "POST", handle_embeddings, nullptr, true, describe_embeddings, "OpenAI: texts as vectors"},
    {"/v1/score", "POST", handle_score, nullptr, true, describe_score, "vLLM: how alike two texts are"},
    {"/v1/rerank", "POST", handle_rerank, nullptr, true, describe_rerank, "vLLM: documents by likeness to a query"},
    {"/v1/models", "GET", nullptr, handle_models, true, nullptr, "The models, and how each of them is"},
    {"/models", "GET", nullptr, handle_models, true, nullptr, "llama-server's: the same"},
    {"/models/load", "POST", nullptr, handle_models_load, true, describe_model_name, "llama-server: load a model"},
    {"/models/unload", "POST", nullptr, handle_models_unload, true, describe_model_name,
     "llama-server: unload a model when its requests are done"},
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
    {"/v1/audio/transcriptions", "POST", nullptr, nullptr, true},
    {"/v1/load_lora_adapter", "POST", nullptr, nullptr, true},
    {"/v1/unload_lora_adapter", "POST", nullptr, nullptr, true},
    {"/", "GET", nullptr, handle_page, false, nullptr, "The chat page"},
    {"/page.css", "GET", nullptr, handle_page, false, nullptr, "Its style"},
    {"/page.js", "GET", nullptr, handle_page, false, nullptr, "Its script"},
    {"/markdown.js", "GET", nullptr, handle_page, false, nullptr, "Part of its script"},
    {"/server.js", "GET", nullptr, handle_page, false, nullptr, "Part of its script"},
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

bool read_json(const Route &route, HttpRequest &request, const ReplyPtr &reply) {
  Result<Json> body = parse_json(request.body);
  if (!body.ok()) {
    reply->send(route.error(error_of_status(body.status())));
    return false;
  }
  request.json = std::make_shared<Json>(std::move(*body));
  return true;
}

// Empty: the request names none. A value of another type is the endpoint's to refuse.
std::string model_name(const HttpRequest &request) {
  const Json &json = *request.json;
  auto name = json.is_object() ? json.find("model") : json.end();
  return name != json.end() && name->is_string() ? name->get<std::string>() : std::string();
}

// What keeps a request from its model. A model that cannot be loaded is not the client's mistake.
ApiError model_error(const Status &status) {
  ApiError out = error_of_status(status);
  out.param = "model";
  return out;
}
ApiError load_error(const Status &status) {
  ApiError out = error_of_status(status);
  if (out.status < 500)
    out.status = 500;
  return out;
}

// The client may go away while its model is being loaded; then nothing is begun for it.
void answer_when_loaded(ServerContext &context, const Route &route, const std::string &name, HttpRequest request,
                        const ReplyPtr &reply) {
  struct Waiting {
    HttpRequest request;
    bool gone = false;
  };
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(request)});
  reply->on_disconnect([waiting] { waiting->gone = true; });
  context.models.wait(name, [&context, &route, waiting, reply](Result<ModelLease> lease) {
    reply->post([&context, &route, waiting, reply, lease = std::move(lease)] {
      if (waiting->gone)
        return;
      if (!lease.ok())
        return reply->send(route.error(load_error(lease.status())));
      route.with_model(context, *(*lease)->model, waiting->request, reply);
    });
  });
}

void answer_with_model(ServerContext &context, const Route &route, HttpRequest request, const ReplyPtr &reply) {
  const std::string name = route.describe ? model_name(request) : context.models.any_name();
  Result<ModelLease> lease = context.models.get(name);
  if (!lease.ok())
    return reply->send(route.error(model_error(lease.status())));
  if (!*lease)
    return answer_when_loaded(context, route, name, std::move(request), reply);
  route.with_model(context, *(*lease)->model, request, reply);
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

void route(ServerContext &context, HttpRequest request, const ReplyPtr &reply) {
  const Route *found = find_route(request.path);
  if (!found)
    return reply->send(error_response({404, "there is no endpoint " + request.path, {}, 0}));
  if (request.method == "OPTIONS") { // a browser asks before it sends; the connection adds the CORS headers
    HttpResponse answer{204, "", "", {{"Allow", std::string(found->method) + ", OPTIONS"}}};
    return reply->send(std::move(answer));
  }
  bool is_head = request.method == "HEAD" && std::string_view(found->method) == "GET"; // the connection drops the body
  if (request.method != found->method && !is_head) {
    HttpResponse answer = error_response({405, request.path + " takes " + found->method + " only", {}, 0});
    answer.headers.emplace_back("Allow", found->method);
    return reply->send(std::move(answer));
  }
  if (found->needs_key && !context.config.api_keys.empty() && !has_key(context.config, request))
    return reply->send(error_response({401, "this server needs its API key: Authorization: Bearer KEY", {}, 0}));
  if (!found->plain && !found->with_model)
    return reply->send(error_response({501, std::string(found->path) + " is not there yet in this version", {}, 0}));
  bool health = found->plain && !found->needs_key; // answers while the models are being loaded
  if (!health && !context.models.ready())
    return reply->send(error_response({503, "Loading model", {}, 1}));
  if (found->describe && !read_json(*found, request, reply))
    return;
  if (found->plain)
    return found->plain(context, request, reply);
  answer_with_model(context, *found, std::move(request), reply);
}

} // namespace llmrt::server
