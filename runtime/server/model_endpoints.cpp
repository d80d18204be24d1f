// GET /v1/models and /models, POST /models/load and /models/unload: OpenAI's list with llama-server's status
// (https://github.com/ggml-org/llama.cpp/tree/master/tools/server, "Using multiple models").
#include "runtime/server/endpoints.h"

namespace llmrt::server {

namespace {

Json number_or_null(int64_t value) { return value > 0 ? Json(value) : Json(nullptr); }

Json status_of(const ModelView &view) {
  Json out{{"value", name_of(view.state)}};
  if (!view.error.empty()) {
    out["failed"] = true;
    out["error"] = view.error;
  }
  if (view.device.empty())
    return out;
  const EngineStats &stats = view.stats;
  out["device"] = view.device;
  out["mapped_bytes"] = view.memory.mapped_bytes;
  out["private_bytes"] = number_or_null(view.memory.private_bytes);
  out["kv_cache_bytes"] = view.memory.kv_bytes;
  out["kv_cache_usage"] =
      stats.pages_total ? static_cast<double>(stats.pages_used) / static_cast<double>(stats.pages_total) : 0.0;
  out["num_requests_running"] = stats.running;
  out["num_requests_waiting"] = stats.waiting;
  out["idle_seconds"] = view.idle_seconds;
  return out;
}

Json entry_of(const ModelView &view, const std::string &name) {
  Json entry;
  entry["id"] = name;
  entry["object"] = "model";
  entry["created"] = view.created;
  entry["owned_by"] = "llmrt";
  entry["root"] = view.id;
  entry["parent"] = nullptr;
  entry["max_model_len"] = number_or_null(view.max_model_len);
  entry["permission"] = Json::array();
  entry["meta"] = Json{{"n_vocab", number_or_null(view.vocabulary)}}; // as llama-server
  entry["status"] = status_of(view);
  return entry;
}

// Reads {"model"} and hands it to the pool; the answer comes when the model is there, or gone.
using PoolCall = void (ModelPool::*)(const std::string &, std::function<void(Status)>);
void call_pool(ServerContext &context, const HttpRequest &http, const ReplyPtr &reply, PoolCall call) {
  FieldReader fields(*http.json);
  std::string name = fields.string("model").value_or("");
  if (name.empty())
    fields.fail("model", "is missing");
  if (auto error = fields.finish())
    return reply->send(error_response(*error));
  (context.models.*call)(name, [reply](Status status) {
    reply->post([reply, status] {
      if (status.ok())
        return reply->send(json_response(Json{{"success", true}}));
      ApiError error = error_of_status(status);
      error.param = "model";
      reply->send(error_response(error));
    });
  });
}

} // namespace

void handle_models(ServerContext &context, const HttpRequest &, const ReplyPtr &reply) {
  Json data = Json::array();
  for (const ModelView &view : context.models.list())
    for (const std::string &name : view.names)
      data.push_back(entry_of(view, name));
  reply->send(json_response(Json{{"object", "list"}, {"data", std::move(data)}}));
}

void describe_model_name(FieldReader &, const Model &, ServerContext &) {} // every endpoint has that field

void handle_models_load(ServerContext &context, const HttpRequest &http, const ReplyPtr &reply) {
  call_pool(context, http, reply, &ModelPool::load);
}

void handle_models_unload(ServerContext &context, const HttpRequest &http, const ReplyPtr &reply) {
  call_pool(context, http, reply, &ModelPool::unload);
}

} // namespace llmrt::server
