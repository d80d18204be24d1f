// Counters and histograms in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/),
// under vLLM's names and buckets so that dashboards move over.
#pragma once

#include "runtime/engine/engine.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace llmrt::server {

// Any thread may observe; a reading may be torn between buckets and sum, never within one.
class Histogram {
public:
  explicit Histogram(std::span<const double> bounds);
  void observe(double value);
  // `labels` as `a="b",c="d"` without braces.
  void render(std::string &out, const std::string &name, const std::string &labels) const;

private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_; // one more than bounds
  std::atomic<double> sum_{0};
};

// 1, 2, 5, 10, 20, 50, ... up to `most`.
std::vector<double> one_two_five_buckets(double most);
std::string escape_label(std::string_view value);

enum class Outcome { kStop, kLength, kAbort, kError };

// What is counted of one model's requests, over all the times that it is loaded.
struct ModelMetrics {
  ModelMetrics();

  Histogram time_to_first_token, inter_token_latency, time_per_output_token, e2e_latency;
  Histogram queue_time, inference_time, prefill_time, decode_time; // of requests that came to their end
  Histogram prompt_tokens, generation_tokens;
  std::array<std::atomic<uint64_t>, 4> outcomes{}; // by Outcome
};

// A model as /metrics shows it.
struct ModelReading {
  std::string name;
  int64_t page_tokens = 0;
  std::string cache_dtype;
  EngineStats stats;
  const ModelMetrics *metrics = nullptr;
};

class Metrics {
public:
  Metrics(std::string prefix, bool prefix_caching);

  // `handler` is an endpoint's path or "none", so that the number of series is bounded.
  void http_request(const std::string &handler, const std::string &method, int status, double seconds);

  // The text format wants all lines of one name together, so models come inside of names.
  std::string render(const std::vector<ModelReading> &models) const;

private:
  void render_scalars(const std::vector<ModelReading> &models, std::string &out) const;
  void render_outcomes(const std::vector<ModelReading> &models, std::string &out) const;
  void render_histograms(const std::vector<ModelReading> &models, std::string &out) const;
  void render_http(std::string &out) const;
  void render_process(std::string &out) const;

  std::string prefix_;
  bool prefix_caching_;
  double start_seconds_;
  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, int>, uint64_t> http_requests_; // handler, method, status
  Histogram http_duration_;
};

} // namespace llmrt::server
