// What all endpoints share.
#pragma once

#include "runtime/server/access_log.h"
#include "runtime/server/metrics.h"
#include "runtime/server/model_pool.h"
#include "runtime/server/trace.h"
#include "runtime/session/model.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace llmrt::server {

struct ServerConfig {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any that is free
  std::string uds;  // a path: a unix socket instead of host and port
  int threads = 2;  // that do HTTP, JSON, templates and tokenizing
  std::vector<std::string> api_keys;          // any of them opens; none: open to all
  std::vector<std::string> served_model_names; // of set_model()'s; none: the artifact's id
  std::vector<std::string> allowed_origins = {"*"};
  std::string metrics_prefix = "vllm";
  std::string otlp_traces_endpoint; // empty: no traces
  std::string access_log; // a file, or "-"; empty: none
  bool prefix_caching = true;
  Pooling pooling = Pooling::kLast; // of embeddings
  std::string tool_call_parser, reasoning_parser; // vLLM's names; empty: by the chat template
  bool auto_tool_choice = true;                   // tools with tool_choice auto
  std::optional<uint64_t> seed; // for requests that bring none; unset: a different one each
  std::string ssl_certfile, ssl_keyfile; // PEM; empty: plain text
  size_t max_body_bytes = 32u << 20;
  uint32_t max_header_bytes = 64u << 10;
  size_t max_unsent_bytes = 8u << 20; // of one connection; a client that reads slower is cut off
  size_t max_connections = 16384;
  double request_seconds = 0; // a generation that takes longer ends with an error; 0: no limit
  int handshake_seconds = 15; // TLS's, from its beginning
  int head_seconds = 75, body_seconds = 60, write_seconds = 30; // without progress
};

struct ServerContext {
  explicit ServerContext(ServerConfig c)
      : config(std::move(c)), metrics(config.metrics_prefix, config.prefix_caching), access_log(config.access_log) {}

  const ServerConfig config;
  Metrics metrics;
  AccessLog access_log;
  std::function<void(Span)> trace; // set before the first request; empty: nobody wants spans
  ModelPool models;                          // requests get 503 until it is ready
  std::atomic<bool> draining{false};         // no new generations
  std::atomic<int64_t> in_flight{0};         // generations in progress
  std::atomic<uint64_t> seed_counter{0};

  // Is that one of the model's names? And the one that answers give.
  bool serves(const Model &m, const std::string &name) const;
  std::string model_name(const Model &m) const;
  uint64_t next_seed();
};

} // namespace llmrt::server
