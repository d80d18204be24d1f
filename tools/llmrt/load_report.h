// What `vllm bench serve` reports of a load, under its names.
#pragma once

#include "tools/llmrt/load_client.h"

#include <string>
#include <string_view>
#include <vector>

namespace llmrt::tool {

struct LoadSettings {
  std::string model, backend = "openai";
  double request_rate = 0; // 0: all at once
  int64_t max_concurrency = 0, num_prompts = 0;
  std::vector<std::string> metrics = {"ttft", "tpot", "itl"}; // of these and e2el
  std::vector<double> percentiles = {99};
};

// Milliseconds.
struct LoadSeries {
  std::string name; // "ttft", ...
  double mean = 0, median = 0, deviation = 0;
  std::vector<double> percentiles; // in the settings' order
};

struct LoadReport {
  LoadSettings settings;
  int64_t completed = 0, failed = 0, input_tokens = 0, output_tokens = 0;
  double duration = 0; // seconds
  std::vector<LoadSeries> series;
};

LoadReport summarize(const LoadSettings &settings, const std::vector<LoadResult> &results);
std::string report_table(const LoadReport &report);
std::string report_json(const LoadReport &report); // one line

// numpy's default: linear between the two nearest. 0 of nothing.
double percentile(std::vector<double> values, double percent);

} // namespace llmrt::tool
