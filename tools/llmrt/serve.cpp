// llmrt serve FILE...
#include "runtime/base/os.h"
#include "runtime/server/json.h"
#include "runtime/server/server.h"
#include "runtime/server/tls.h"
#include "runtime/server/tool_calls.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/serve_models.h"
#include "tools/llmrt/verbs.h"

#include <condition_variable>
#include <mutex>

namespace llmrt::tool {

namespace {

struct ServeFlags {
  ServeModelFlags models;
  std::string host = "127.0.0.1", uds, allowed_origins, metrics_prefix = "vllm", access_log, otlp_endpoint;
  std::string certfile, keyfile;
  int64_t port = 8000, threads_http = 2, seed = 0;
  std::vector<std::string> keys;
  std::string tool_call_parser, reasoning_parser, pooling = "last";
  bool metrics = true, auto_tool_choice = true;
  double request_seconds = 0;
};

Result<std::vector<std::string>> read_origins(const std::string &text) {
  if (text.empty() || text[0] != '[')
    return std::vector<std::string>{text};
  Result<server::Json> json = server::parse_json(text);
  std::vector<std::string> out;
  bool good = json.ok() && json->is_array();
  for (size_t i = 0; good && i < json->size(); ++i) {
    good = (*json)[i].is_string();
    out.push_back(good ? (*json)[i].get<std::string>() : "");
  }
  if (!good)
    return Status(StatusCode::kInvalidArgument, "--allowed-origins must be a JSON list of strings, or one origin");
  return out;
}

Status read_pooling(const std::string &name, Pooling &out) {
  static constexpr std::pair<std::string_view, Pooling> kNames[] = {
      {"mean", Pooling::kMean}, {"cls", Pooling::kCls}, {"last", Pooling::kLast}};
  for (auto [known, pooling] : kNames)
    if (name == known) {
      out = pooling;
      return ok_status();
    }
  return Status(StatusCode::kInvalidArgument, "--pooling is mean, cls or last, not " + name);
}

Status read_tls(const ServeFlags &flags, server::ServerConfig &config) {
  const std::string &given = flags.certfile.empty() ? flags.keyfile : flags.certfile;
  const std::string flag = flags.certfile.empty() ? "--ssl-keyfile" : "--ssl-certfile";
  if (!given.empty() && !server::has_tls())
    return Status(StatusCode::kUnsupported, flag + ": this llmrt was built without TLS (the preset tls has it)");
  if (!flags.keyfile.empty() && flags.certfile.empty())
    return Status(StatusCode::kInvalidArgument, "--ssl-keyfile needs --ssl-certfile");
  config.ssl_certfile = flags.certfile;
  config.ssl_keyfile = flags.keyfile;
  return ok_status();
}

Result<server::ServerConfig> server_config(const ServeFlags &flags, const Flags &given) {
  auto wrong = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  server::ServerConfig out;
  if (flags.port < 0 || flags.port > 65535)
    return wrong("--port must be from 0 to 65535");
  if (flags.threads_http < 1 || flags.threads_http > 64)
    return wrong("--threads-http must be from 1 to 64");
  for (const std::string &key : flags.keys)
    if (key.empty())
      return wrong("--api-key must not be empty");
  server::ToolFormat tools;
  if (!flags.tool_call_parser.empty() && !server::parse_tool_format(flags.tool_call_parser, tools))
    return wrong("--tool-call-parser " + flags.tool_call_parser + ": there are hermes, llama3_json, mistral and json");
  server::ReasoningParser thoughts;
  if (!server::parse_reasoning_parser(flags.reasoning_parser, thoughts))
    return wrong("--reasoning-parser " + flags.reasoning_parser + ": there are qwen3, deepseek_r1 and none");
  if (Status status = read_pooling(flags.pooling, out.pooling); !status.ok())
    return status;
  if (Status status = read_tls(flags, out); !status.ok())
    return status;
  out.tool_call_parser = flags.tool_call_parser;
  out.reasoning_parser = flags.reasoning_parser;
  out.auto_tool_choice = flags.auto_tool_choice;
  out.host = flags.host;
  out.port = static_cast<int>(flags.port);
  out.uds = flags.uds;
  out.threads = static_cast<int>(flags.threads_http);
  out.api_keys = flags.keys;
  out.metrics_prefix = flags.metrics_prefix;
  out.access_log = flags.access_log;
  out.otlp_traces_endpoint = flags.otlp_endpoint;
  out.prefix_caching = flags.models.model.prefix_caching;
  if (!(flags.request_seconds >= 0 && flags.request_seconds <= 1e7))
    return wrong("--request-timeout-seconds must be from 0 (none) to 10000000");
  out.request_seconds = flags.request_seconds;
  if (given.given("--seed"))
    out.seed = static_cast<uint64_t>(flags.seed);
  if (given.given("--allowed-origins")) {
    Result<std::vector<std::string>> origins = read_origins(flags.allowed_origins);
    if (!origins.ok())
      return origins.status();
    out.allowed_origins = std::move(*origins);
  }
  return out;
}

// Waits for a signal, or for an engine to fail.
Status wait(server::ModelPool &models) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  Status failure;
  while (!interrupted() && (failure = models.failure()).ok())
    never.wait_for(lock, std::chrono::milliseconds(50));
  return failure;
}

int serve_models(server::Server &server, const ServedOptions &options) {
  server::ModelPool &models = server.context().models;
  if (Status status = models.start(options.pool_options()); !status.ok())
    return status.code() == StatusCode::kInvalidArgument ? usage(status.message()) : fail(status);
  if (interrupted())
    return was_sigint() ? kInterrupted : kOk;
  fprintf(stderr, "listening on %s\n", server.address().c_str());
  fflush(stderr);
  Status failure = wait(models);
  bool complete = !failure.ok();
  while (!complete && interruptions() < 2)
    complete = server.drain(0.2);
  server.stop();
  if (!failure.ok())
    return fail(failure);
  if (!complete)
    return was_sigint() ? kInterrupted : fail("stopped before all requests were answered");
  return was_sigint() ? kInterrupted : kOk;
}

int print_memory_of(const ServedOptions &options, bool json, int server_threads) {
  Result<std::vector<ModelOptions>> models = options.all();
  if (!models.ok())
    return usage(models.status().message());
  return options.is_one() ? print_memory(models->front(), json, server_threads)
                          : print_memory_of_all(*models, json, server_threads);
}

int serve(const ServeFlags &flags, const Flags &given) {
  Result<ServedOptions> options = ServedOptions::read(flags.models);
  if (!options.ok())
    return usage(options.status().message());
  Result<server::ServerConfig> config = server_config(flags, given);
  if (!config.ok())
    return usage(config.status().message());
  if (flags.models.model.print_memory) // the thread that loads models counts as one of the server's
    return print_memory_of(*options, flags.models.model.json, config->threads + 1);
  catch_interrupts(2);
  os::return_large_blocks();
  Result<std::unique_ptr<server::Server>> server = server::Server::listen(*config);
  if (!server.ok())
    return fail(server.status());
  if (Status status = (*server)->start(); !status.ok()) // /health says "loading" from here on
    return fail(status);
  return serve_models(**server, *options);
}

} // namespace

std::function<int()> setup_serve(Flags &flags) {
  auto to = std::make_shared<ServeFlags>();
  add_serve_model_flags(flags, to->models);
  flags.text("--host", to->host, "the address to listen on");
  flags.integer("--port", to->port, "0: any that is free");
  flags.text("--uds", to->uds, "a unix socket instead of host and port");
  flags.integer("--threads-http", to->threads_http, "for HTTP, JSON, templates and tokenizing");
  flags.texts("--api-key", to->keys, "clients must show it; may be repeated");
  flags.text("--allowed-origins", to->allowed_origins, "for browsers: a JSON list; default [\"*\"]");
  flags.text("--metrics-prefix", to->metrics_prefix, "of the names in /metrics");
  flags.text("--tool-call-parser", to->tool_call_parser,
             "how the model writes calls: hermes, llama3_json, mistral, json; default: by the chat template");
  flags.text("--reasoning-parser", to->reasoning_parser,
             "how it writes thoughts: qwen3, deepseek_r1, none; default: by the chat template");
  flags.text("--pooling", to->pooling, "which hidden states make an embedding: mean, cls (the first), last");
  flags.switched("auto-tool-choice", to->auto_tool_choice, "tools with tool_choice auto; default on");
  flags.text("--access-log", to->access_log, "a line of JSON for each answer goes to this file; -: standard error");
  flags.text("--otlp-traces-endpoint", to->otlp_endpoint, "a span for each request goes there: OTLP over HTTP, in JSON");
  flags.text("--ssl-certfile,--ssl-cert-file", to->certfile, "HTTPS: the certificate, its chain after it, in PEM");
  flags.text("--ssl-keyfile,--ssl-key-file", to->keyfile, "its key in PEM; default: in the certificate's file");
  flags.flag("--metrics", to->metrics, "always on");
  flags.number("--request-timeout-seconds", to->request_seconds, "a generation that takes longer is ended; 0: none");
  flags.integer("--seed", to->seed, "for requests that bring none");
  add_report_flags(flags, to->models.model, "with --print-memory");
  return [to, &flags] { return serve(*to, flags); };
}

} // namespace llmrt::tool
