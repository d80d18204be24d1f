#include "tools/llmrt/load_report.h"

#include "runtime/base/text.h"
#include "runtime/server/json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>

namespace llmrt::tool {

namespace {

struct Metric {
  const char *name, *title, *label;
};
constexpr Metric kMetrics[] = {{"ttft", "Time to First Token", "TTFT"},
                               {"tpot", "Time per Output Token (excl. 1st token)", "TPOT"},
                               {"itl", "Inter-token Latency", "ITL"},
                               {"e2el", "End-to-end Latency", "E2EL"}};

// Seconds of one metric, over all requests that were answered.
std::vector<double> values_of(std::string_view metric, const std::vector<LoadResult> &results) {
  std::vector<double> out;
  for (const LoadResult &one : results) {
    if (!one.ok)
      continue;
    double first = one.chunks.front() - one.sent, all = one.chunks.back() - one.sent;
    if (metric == "ttft")
      out.push_back(first);
    else if (metric == "e2el")
      out.push_back(all);
    else if (metric == "tpot" && one.completion_tokens > 1)
      out.push_back((all - first) / static_cast<double>(one.completion_tokens - 1));
    else if (metric == "itl")
      for (size_t i = 1; i < one.chunks.size(); ++i)
        out.push_back(one.chunks[i] - one.chunks[i - 1]);
  }
  return out;
}

LoadSeries series_of(const std::string &name, std::vector<double> values, const std::vector<double> &percents) {
  LoadSeries out;
  out.name = name;
  for (double &value : values)
    value *= 1e3;
  if (!values.empty()) {
    double count = static_cast<double>(values.size());
    out.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
    double squares = 0;
    for (double value : values)
      squares += (value - out.mean) * (value - out.mean);
    out.deviation = std::sqrt(squares / count);
  }
  out.median = percentile(values, 50);
  for (double percent : percents)
    out.percentiles.push_back(percentile(values, percent));
  return out;
}

double rate(int64_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

std::string centered(const std::string &text, char fill) {
  size_t left = (50 - std::min<size_t>(50, text.size())) / 2;
  std::string out = std::string(left, fill) + text;
  return out + std::string(50 - std::min<size_t>(50, out.size()), fill) + "\n";
}

std::string row(const std::string &label, const std::string &value) {
  char line[96];
  snprintf(line, sizeof line, "%-40s %-9s \n", label.c_str(), value.c_str());
  return line;
}

std::string two_places(double value) {
  char text[48];
  snprintf(text, sizeof text, "%.2f", value);
  return text;
}

} // namespace

double percentile(std::vector<double> values, double percent) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  double at = percent / 100 * static_cast<double>(values.size() - 1);
  size_t low = static_cast<size_t>(at), high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (at - static_cast<double>(low));
}

LoadReport summarize(const LoadSettings &settings, const std::vector<LoadResult> &results) {
  LoadReport out;
  out.settings = settings;
  for (const LoadResult &one : results) {
    out.duration = std::max(out.duration, one.ended);
    out.completed += one.ok;
    out.failed += !one.ok;
    out.input_tokens += one.ok ? one.prompt_tokens : 0;
    out.output_tokens += one.ok ? one.completion_tokens : 0;
  }
  for (const std::string &name : settings.metrics)
    out.series.push_back(series_of(name, values_of(name, results), settings.percentiles));
  return out;
}

std::string report_table(const LoadReport &r) {
  std::string out = centered(" Serving Benchmark Result ", '=');
  out += row("Successful requests:", std::to_string(r.completed));
  out += row("Failed requests:", std::to_string(r.failed));
  if (r.settings.max_concurrency > 0)
    out += row("Maximum request concurrency:", std::to_string(r.settings.max_concurrency));
  if (r.settings.request_rate > 0)
    out += row("Request rate configured (RPS):", two_places(r.settings.request_rate));
  out += row("Benchmark duration (s):", two_places(r.duration));
  out += row("Total input tokens:", std::to_string(r.input_tokens));
  out += row("Total generated tokens:", std::to_string(r.output_tokens));
  out += row("Request throughput (req/s):", two_places(rate(r.completed, r.duration)));
  out += row("Output token throughput (tok/s):", two_places(rate(r.output_tokens, r.duration)));
  out += row("Total Token throughput (tok/s):", two_places(rate(r.input_tokens + r.output_tokens, r.duration)));
  for (const LoadSeries &one : r.series) {
    const Metric *metric = std::find_if(std::begin(kMetrics), std::end(kMetrics),
                                        [&](const Metric &m) { return one.name == m.name; });
    out += centered(metric->title, '-');
    out += row("Mean " + std::string(metric->label) + " (ms):", two_places(one.mean));
    out += row("Median " + std::string(metric->label) + " (ms):", two_places(one.median));
    for (size_t i = 0; i < one.percentiles.size(); ++i)
      out += row("P" + format_number(r.settings.percentiles[i]) + " " + metric->label + " (ms):",
                 two_places(one.percentiles[i]));
  }
  return out + std::string(50, '=') + "\n";
}

std::string report_json(const LoadReport &r) {
  server::Json out;
  char date[32];
  std::time_t now = std::time(nullptr);
  std::tm broken{};
  gmtime_r(&now, &broken);
  strftime(date, sizeof date, "%Y%m%d-%H%M%S", &broken);
  out["date"] = date;
  out["backend"] = r.settings.backend;
  out["model_id"] = r.settings.model;
  out["num_prompts"] = r.settings.num_prompts;
  out["request_rate"] = r.settings.request_rate > 0 ? server::Json(r.settings.request_rate) : server::Json("inf");
  out["max_concurrency"] = r.settings.max_concurrency > 0 ? server::Json(r.settings.max_concurrency) : nullptr;
  out["duration"] = r.duration;
  out["completed"] = r.completed;
  out["failed"] = r.failed;
  out["total_input_tokens"] = r.input_tokens;
  out["total_output_tokens"] = r.output_tokens;
  out["request_throughput"] = rate(r.completed, r.duration);
  out["output_throughput"] = rate(r.output_tokens, r.duration);
  out["total_token_throughput"] = rate(r.input_tokens + r.output_tokens, r.duration);
  for (const LoadSeries &one : r.series) {
    out["mean_" + one.name + "_ms"] = one.mean;
    out["median_" + one.name + "_ms"] = one.median;
    out["std_" + one.name + "_ms"] = one.deviation;
    for (size_t i = 0; i < one.percentiles.size(); ++i)
      out["p" + format_number(r.settings.percentiles[i]) + "_" + one.name + "_ms"] = one.percentiles[i];
  }
  return server::dump_json(out);
}

} // namespace llmrt::tool
