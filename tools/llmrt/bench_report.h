// What bench measured, as JSON and for people.
#pragma once

#include "runtime/session/model.h"
#include "tools/llmrt/bench_profile.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmrt::tool {

inline constexpr int64_t kFirstTokenPrompt = 16; // tokens of the prompt whose first token is timed from the start

struct BenchTest {
  bool prompt = false;
  int64_t tokens = 0, depth = 0, streams = 1;
  std::string name() const { return (prompt ? "pp" : "tg") + std::to_string(tokens); }
};

struct BenchRow {
  BenchTest test;
  double mean = 0, deviation = 0, bytes = 0, ops = 0;
};

struct BenchReport {
  double load_ms = 0, first_token_ms = 0, read_gbps = 0, dot_gops = 0;
  double warm_prompt_ms = 0; // a prompt as long as the first one's, when the engine has run some
  uint64_t rss_bytes = 0;    // at the peak
  uint64_t weight_bytes = 0, kv_bytes = 0; // of the file's weights and of the pages: what may be resident by design
  std::vector<BenchRow> rows;
  std::vector<ProfiledSteps> profiles; // of each row's last measurement, with --profile
};

std::string bench_json(const Model &model, const BenchReport &report);
std::string bench_table(const Model &model, const BenchReport &report);

} // namespace llmrt::tool
