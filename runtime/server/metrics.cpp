#include "runtime/server/metrics.h"

#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace llmrt::server {

namespace {

constexpr double kFirstToken[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
                                  1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
constexpr double kPerToken[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,  0.4,  0.5,
                                0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
constexpr double kRequest[] = {0.3,  0.5,  0.8,  1.0,  1.5,  2.0,   2.5,   5.0,   10.0,  15.0,  20.0,
                               30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};
constexpr double kHttp[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 300};
constexpr double kLargestLength = 1 << 20; // of prompts and answers, in tokens

void head(std::string &out, const std::string &name, const char *type, const char *help) {
  out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void line(std::string &out, const std::string &name, const std::string &labels, double value) {
  out += name;
  if (!labels.empty())
    out += "{" + labels + "}";
  out += " " + format_number(value) + "\n";
}

// `counts` of each bucket by itself, one more than there are bounds.
void render_buckets(std::string &out, const std::string &name, const std::string &labels,
                    std::span<const double> bounds, std::span<const uint64_t> counts, double sum) {
  std::string comma = labels.empty() ? "" : ",";
  uint64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    std::string bound = i < bounds.size() ? format_number(bounds[i]) : "+Inf";
    line(out, name + "_bucket", labels + comma + "le=\"" + bound + "\"", static_cast<double>(total));
  }
  line(out, name + "_count", labels, static_cast<double>(total));
  line(out, name + "_sum", labels, sum);
}

double now_seconds() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

std::string labels_of(const ModelReading &model) {
  return "engine=\"0\",model_name=\"" + escape_label(model.name) + "\"";
}

double share_used(const EngineStats &stats) {
  return stats.pages_total ? static_cast<double>(stats.pages_used) / static_cast<double>(stats.pages_total) : 0;
}

struct Scalar {
  const char *name, *type, *help;
  double (*value)(const EngineStats &);
};
constexpr Scalar kScalars[] = {
    {"num_requests_running", "gauge", "Requests in the running batch.",
     [](const EngineStats &s) { return static_cast<double>(s.running); }},
    {"num_requests_waiting", "gauge", "Requests waiting to be run.",
     [](const EngineStats &s) { return static_cast<double>(s.waiting); }},
    {"kv_cache_usage_perc", "gauge", "Part of the KV pages in use; 1 is all.", share_used},
    {"prompt_tokens_total", "counter", "Prompt tokens run.",
     [](const EngineStats &s) { return static_cast<double>(s.prompt_tokens); }},
    {"generation_tokens_total", "counter", "Tokens generated.",
     [](const EngineStats &s) { return static_cast<double>(s.generation_tokens); }},
    {"num_preemptions_total", "counter", "Requests preempted for want of pages.",
     [](const EngineStats &s) { return static_cast<double>(s.preemptions); }},
    {"itl_limit_missed_total", "counter", "Steps longer than --max-itl-ms without a prompt to blame.",
     [](const EngineStats &s) { return static_cast<double>(s.itl_limit_missed); }},
    {"sampled_rows_total", "counter", "Rows of logits that tokens were drawn from.",
     [](const EngineStats &s) { return static_cast<double>(s.sampled_rows); }},
    {"candidate_rows_total", "counter", "Of these, rows that the device told the best logits of.",
     [](const EngineStats &s) { return static_cast<double>(s.candidate_rows); }},
    {"prefix_cache_queries_total", "counter", "Prompt tokens looked up in the prefix cache.",
     [](const EngineStats &s) { return static_cast<double>(s.prefix_queries); }},
    {"prefix_cache_hits_total", "counter", "Prompt tokens found in the prefix cache.",
     [](const EngineStats &s) { return static_cast<double>(s.prefix_hits); }},
};

struct ModelHistogram {
  const char *name, *help;
  Histogram ModelMetrics::*values;
};
constexpr ModelHistogram kHistograms[] = {
    {"time_to_first_token_seconds", "From a request's arrival to its first token.",
     &ModelMetrics::time_to_first_token},
    {"inter_token_latency_seconds", "Between two tokens of a request.", &ModelMetrics::inter_token_latency},
    {"request_time_per_output_token_seconds", "A request's mean time a token after the first.",
     &ModelMetrics::time_per_output_token},
    {"e2e_request_latency_seconds", "From a request's arrival to its end.", &ModelMetrics::e2e_latency},
    {"request_queue_time_seconds", "From a request's arrival to its first step.", &ModelMetrics::queue_time},
    {"request_inference_time_seconds", "From a request's first step to its last token.",
     &ModelMetrics::inference_time},
    {"request_prefill_time_seconds", "From a request's first step to its first token.", &ModelMetrics::prefill_time},
    {"request_decode_time_seconds", "From a request's first token to its last.", &ModelMetrics::decode_time},
    {"request_prompt_tokens", "Prompt tokens of a request.", &ModelMetrics::prompt_tokens},
    {"request_generation_tokens", "Tokens generated for a request.", &ModelMetrics::generation_tokens},
};

} // namespace

std::vector<double> one_two_five_buckets(double most) {
  std::vector<double> out;
  for (double decade = 1;; decade *= 10)
    for (double digit : {1.0, 2.0, 5.0}) {
      if (digit * decade > most)
        return out;
      out.push_back(digit * decade);
    }
}

std::string escape_label(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"')
      out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(new std::atomic<uint64_t>[bounds.size() + 1]{}) {}

void Histogram::observe(double value) {
  size_t bucket = static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

void Histogram::render(std::string &out, const std::string &name, const std::string &labels) const {
  std::vector<uint64_t> counts;
  for (size_t i = 0; i <= bounds_.size(); ++i)
    counts.push_back(counts_[i].load(std::memory_order_relaxed));
  render_buckets(out, name, labels, bounds_, counts, sum_.load(std::memory_order_relaxed));
}

ModelMetrics::ModelMetrics()
    : time_to_first_token(kFirstToken), inter_token_latency(kPerToken), time_per_output_token(kPerToken),
      e2e_latency(kRequest), queue_time(kRequest), inference_time(kRequest), prefill_time(kRequest),
      decode_time(kRequest), prompt_tokens(one_two_five_buckets(kLargestLength)),
      generation_tokens(one_two_five_buckets(kLargestLength)) {}

Metrics::Metrics(std::string prefix, bool prefix_caching)
    : prefix_(std::move(prefix)), prefix_caching_(prefix_caching), start_seconds_(now_seconds()),
      http_duration_(kHttp) {}

void Metrics::http_request(const std::string &handler, const std::string &method, int status, double seconds) {
  http_duration_.observe(seconds);
  // What a client makes up must not become a series of its own.
  static constexpr std::string_view known[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};
  bool is_known = std::find(std::begin(known), std::end(known), method) != std::end(known);
  std::lock_guard lock(mutex_);
  ++http_requests_[{handler, is_known ? method : "other", status}];
}

void Metrics::render_scalars(const std::vector<ModelReading> &models, std::string &out) const {
  for (const Scalar &scalar : kScalars) {
    head(out, prefix_ + ":" + scalar.name, scalar.type, scalar.help);
    for (const ModelReading &model : models)
      line(out, prefix_ + ":" + scalar.name, labels_of(model), scalar.value(model.stats));
  }
  const std::string name = prefix_ + ":kv_cache_pages";
  head(out, name, "gauge", "KV pages by state; together num_gpu_blocks of cache_config_info.");
  for (const ModelReading &model : models)
    for (auto [state, pages] : {std::pair{"free", model.stats.pages_free}, std::pair{"cached", model.stats.pages_cached},
                                std::pair{"used", model.stats.pages_used}})
      line(out, name, labels_of(model) + ",state=\"" + state + "\"", static_cast<double>(pages));
}

void Metrics::render_outcomes(const std::vector<ModelReading> &models, std::string &out) const {
  static constexpr const char *reasons[] = {"stop", "length", "abort", "error"};
  std::string name = prefix_ + ":request_success_total";
  head(out, name, "counter", "Requests finished, by reason.");
  for (const ModelReading &model : models)
    for (size_t i = 0; i < model.metrics->outcomes.size(); ++i)
      line(out, name, labels_of(model) + ",finished_reason=\"" + reasons[i] + "\"",
           static_cast<double>(model.metrics->outcomes[i].load(std::memory_order_relaxed)));
  name = prefix_ + ":cache_config_info";
  head(out, name, "gauge", "How the KV cache is set up.");
  for (const ModelReading &model : models)
    line(out, name,
         labels_of(model) + ",block_size=\"" + std::to_string(model.page_tokens) + "\",cache_dtype=\"" +
             escape_label(model.cache_dtype) + "\",enable_prefix_caching=\"" + (prefix_caching_ ? "True" : "False") +
             "\",num_gpu_blocks=\"" + std::to_string(model.stats.pages_total) + "\"",
         1);
}

void Metrics::render_histograms(const std::vector<ModelReading> &models, std::string &out) const {
  for (const ModelHistogram &histogram : kHistograms) {
    head(out, prefix_ + ":" + histogram.name, "histogram", histogram.help);
    for (const ModelReading &model : models)
      (model.metrics->*histogram.values).render(out, prefix_ + ":" + histogram.name, labels_of(model));
  }
  const std::string name = prefix_ + ":iteration_tokens_total";
  head(out, name, "histogram", "Tokens of a step.");
  const std::vector<double> bounds(std::begin(kStepTokenBounds), std::end(kStepTokenBounds));
  for (const ModelReading &model : models)
    render_buckets(out, name, labels_of(model), bounds, model.stats.steps_by_tokens,
                   static_cast<double>(model.stats.step_tokens));
}

void Metrics::render_http(std::string &out) const {
  {
    std::lock_guard lock(mutex_);
    head(out, "http_requests_total", "counter", "HTTP requests answered.");
    for (const auto &[key, value] : http_requests_)
      line(out, "http_requests_total",
           "handler=\"" + escape_label(std::get<0>(key)) + "\",method=\"" + std::get<1>(key) + "\",status=\"" +
               std::to_string(std::get<2>(key)) + "\"",
           static_cast<double>(value));
  }
  head(out, "http_request_duration_seconds", "histogram", "Time to answer an HTTP request.");
  http_duration_.render(out, "http_request_duration_seconds", "");
}

// The names of Prometheus' client libraries; what the system does not tell is left out.
void Metrics::render_process(std::string &out) const {
  auto gauge = [&out](const char *name, const char *help, double value) {
    if (value < 0)
      return;
    head(out, name, "gauge", help);
    line(out, name, "", value);
  };
  auto bytes = [](uint64_t value) { return value == 0 ? -1.0 : static_cast<double>(value); };
  head(out, "process_cpu_seconds_total", "counter", "Processor time used.");
  line(out, "process_cpu_seconds_total", "", static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  gauge("process_virtual_memory_bytes", "Address space in use.", bytes(os::virtual_bytes()));
  gauge("process_resident_memory_bytes", "Memory in use.", bytes(os::current_rss_bytes()));
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", start_seconds_);
  gauge("process_open_fds", "Open file descriptors.", static_cast<double>(os::open_files()));
  gauge("process_max_fds", "Most open file descriptors.", static_cast<double>(os::open_files_limit()));
}

std::string Metrics::render(const std::vector<ModelReading> &models) const {
  std::string out;
  if (!models.empty()) {
    render_scalars(models, out);
    render_outcomes(models, out);
    render_histograms(models, out);
  }
  render_http(out);
  render_process(out);
  return out;
}

} // namespace llmrt::server
