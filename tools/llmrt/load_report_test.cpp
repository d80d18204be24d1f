#include "tools/llmrt/load_report.h"

#include "runtime/server/json.h"

#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

TEST(LoadReport, PercentilesAreNumpys) {
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(percentile({3}, 99), 3);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 50), 2.5);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 99), 3.97);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3}, 100), 3);
}

TEST(LoadReport, CountsWhatVllmCounts) {
  LoadResult good, other, bad;
  good.ok = other.ok = true;
  good.sent = 1;
  good.chunks = {1.1, 1.2, 1.4}; // 100 ms, then 100 and 200
  good.ended = 1.41;
  good.prompt_tokens = 10;
  good.completion_tokens = 3;
  other.sent = 2;
  other.chunks = {2.3};
  other.ended = 2.5;
  other.prompt_tokens = 20;
  other.completion_tokens = 1;
  bad.ended = 2;
  LoadSettings settings;
  settings.num_prompts = 3;
  settings.metrics = {"ttft", "tpot", "itl", "e2el"};
  settings.percentiles = {50, 99};
  const LoadReport report = summarize(settings, {good, other, bad});
  EXPECT_EQ(report.completed, 2);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.input_tokens, 30);
  EXPECT_EQ(report.output_tokens, 4);
  EXPECT_DOUBLE_EQ(report.duration, 2.5);
  server::Json json = server::Json::parse(report_json(report));
  EXPECT_NEAR(json["mean_ttft_ms"], 200, 1e-6);
  EXPECT_NEAR(json["mean_tpot_ms"], 150, 1e-6) << "an answer of one token has none";
  EXPECT_NEAR(json["mean_itl_ms"], 150, 1e-6);
  EXPECT_NEAR(json["std_itl_ms"], 50, 1e-6);
  EXPECT_NEAR(json["p99_ttft_ms"], 298, 1e-6);
  EXPECT_NEAR(json["p50_e2el_ms"], 350, 1e-6);
  EXPECT_NEAR(json["output_throughput"], 4 / 2.5, 1e-9);
  EXPECT_EQ(json["request_rate"], "inf");
  const std::string table = report_table(report);
  EXPECT_NE(table.find("Mean TTFT (ms):                          200.00"), std::string::npos) << table;
  EXPECT_NE(table.find("P99 E2EL (ms):"), std::string::npos);
}

} // namespace
} // namespace llmrt::tool
