#include "runtime/server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;

TEST(Histogram, BucketsAreCumulative) {
  const double bounds[] = {1, 2, 4};
  Histogram histogram(bounds);
  for (double value : {0.5, 1.0, 1.5, 3.0, 100.0})
    histogram.observe(value);
  std::string out;
  histogram.render(out, "x", "a=\"b\"");
  EXPECT_EQ(out, "x_bucket{a=\"b\",le=\"1\"} 2\nx_bucket{a=\"b\",le=\"2\"} 3\nx_bucket{a=\"b\",le=\"4\"} 4\n"
                 "x_bucket{a=\"b\",le=\"+Inf\"} 5\nx_count{a=\"b\"} 5\nx_sum{a=\"b\"} 106\n");
}

TEST(Metrics, OneTwoFive) {
  EXPECT_EQ(one_two_five_buckets(60), (std::vector<double>{1, 2, 5, 10, 20, 50}));
}

TEST(Metrics, LabelsAreEscaped) { EXPECT_EQ(escape_label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd"); }

TEST(Metrics, HasVllmsNames) {
  Metrics metrics("vllm", true);
  ModelMetrics counted;
  counted.outcomes[static_cast<size_t>(Outcome::kStop)] = 3;
  metrics.http_request("/v1/models", "GET", 200, 0.001);
  metrics.http_request("/v1/models", "MADEUP", 405, 0.001);
  ModelReading model{"m", 16, "f32", {}, &counted};
  EngineStats &stats = model.stats;
  stats.running = 2;
  stats.pages_total = 10;
  stats.pages_used = 5;
  stats.pages_cached = 2;
  stats.pages_free = 3;
  stats.steps_by_tokens[1] = 4; // of 2 to 8 tokens
  stats.steps_by_tokens.back() = 1;
  stats.step_tokens = 20032;
  std::string out = metrics.render({model});
  EXPECT_THAT(out, HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 2\n"));
  EXPECT_THAT(out, HasSubstr("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.5\n"));
  for (const char *line : {"state=\"free\"} 3", "state=\"cached\"} 2", "state=\"used\"} 5"})
    EXPECT_THAT(out, HasSubstr("vllm:kv_cache_pages{engine=\"0\",model_name=\"m\"," + std::string(line)));
  EXPECT_THAT(out, HasSubstr("vllm:request_success_total{engine=\"0\",model_name=\"m\",finished_reason=\"stop\"} 3\n"));
  EXPECT_THAT(out, HasSubstr("vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"m\",le=\"0.001\"} 0\n"));
  for (const char *line : {"le=\"1\"} 0", "le=\"8\"} 4", "le=\"16384\"} 4", "le=\"+Inf\"} 5"})
    EXPECT_THAT(out, HasSubstr("vllm:iteration_tokens_total_bucket{engine=\"0\",model_name=\"m\"," + std::string(line)));
  EXPECT_THAT(out, HasSubstr("vllm:iteration_tokens_total_sum{engine=\"0\",model_name=\"m\"} 20032\n"));
  EXPECT_THAT(out, HasSubstr("\nprocess_max_fds "));
  EXPECT_THAT(out, HasSubstr("http_requests_total{handler=\"/v1/models\",method=\"GET\",status=\"200\"} 1\n"));
  EXPECT_THAT(out, HasSubstr("method=\"other\",status=\"405\"} 1\n"));
}

TEST(Metrics, ModelsAreTogetherUnderEachName) {
  Metrics metrics("vllm", false);
  ModelMetrics first, second;
  first.time_to_first_token.observe(0.5);
  std::string out = metrics.render({{"a", 16, "f32", {}, &first}, {"b", 32, "bf16", {}, &second}});
  EXPECT_THAT(out, HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"a\"} 0\n"
                             "vllm:num_requests_running{engine=\"0\",model_name=\"b\"} 0\n"));
  EXPECT_THAT(out, HasSubstr("time_to_first_token_seconds_count{engine=\"0\",model_name=\"a\"} 1\n"));
  EXPECT_THAT(out, HasSubstr("time_to_first_token_seconds_count{engine=\"0\",model_name=\"b\"} 0\n"));
  EXPECT_THAT(out, HasSubstr("model_name=\"b\",block_size=\"32\",cache_dtype=\"bf16\",enable_prefix_caching=\"False\""));
  for (size_t at = out.find("# TYPE "); at != std::string::npos; at = out.find("# TYPE ", at + 1)) {
    std::string line = out.substr(at, out.find(' ', at + 7) + 1 - at);
    EXPECT_EQ(out.find(line, at + 1), std::string::npos) << line << " comes twice";
  }
}

TEST(Metrics, OtherPrefixesReplaceIt) {
  Metrics metrics("llm", true);
  ModelMetrics counted;
  std::string out = metrics.render({ModelReading{"m", 16, "f32", {}, &counted}});
  EXPECT_EQ(out.find("vllm:"), std::string::npos);
  EXPECT_THAT(out, HasSubstr("llm:num_requests_waiting"));
}

} // namespace
} // namespace llmrt::server
