#include "tools/llmrt/bench_report.h"

#include "runtime/base/text.h"

#include <cstdio>

namespace llmrt::tool {

static double part_of(double value, double limit) { return limit > 0 ? value / 1e9 / limit : 0; }

std::string bench_json(const Model &model, const BenchReport &report) {
  std::string out = "{\"threads\":" + std::to_string(model.threads) + ",\"device\":\"" + model.device +
                    "\",\"cpu_tier\":\"" + model.cpu_tier + "\",\"root_hash\":\"" + model.root_hash +
                    "\",\"load_ms\":" + format_number(report.load_ms) +
                    ",\"first_token_ms\":" + format_number(report.first_token_ms) +
                    ",\"first_token_prompt\":" + std::to_string(kFirstTokenPrompt) +
                    ",\"warm_prompt_ms\":" + format_number(report.warm_prompt_ms) +
                    ",\"rss_bytes\":" + std::to_string(report.rss_bytes) +
                    ",\"weight_bytes\":" + std::to_string(report.weight_bytes) +
                    ",\"kv_bytes\":" + std::to_string(report.kv_bytes) +
                    ",\"limits\":{\"read_gbps\":" + format_number(report.read_gbps) +
                    ",\"dot_gops\":" + format_number(report.dot_gops) + "},\"results\":[";
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const BenchRow &row = report.rows[i];
    out += (i ? "," : "") + ("{\"test\":\"" + row.test.name()) + "\",\"depth\":" + std::to_string(row.test.depth) +
           ",\"streams\":" + std::to_string(row.test.streams) + ",\"tokens_per_s\":" + format_number(row.mean) +
           ",\"tokens_per_s_stddev\":" + format_number(row.deviation) +
           ",\"bytes_per_token\":" + format_number(row.bytes) + ",\"ops_per_token\":" + format_number(row.ops) +
           ",\"fraction_of_read\":" + format_number(part_of(row.mean * row.bytes, report.read_gbps)) +
           ",\"fraction_of_dot_peak\":" + format_number(part_of(row.mean * row.ops, report.dot_gops)) + "}";
  }
  return out + "]}\n";
}

std::string bench_table(const Model &model, const BenchReport &report) {
  std::string out = model.id + " on " + model.device + " " + model.cpu_tier + ", " + std::to_string(model.threads) +
                    " threads; loaded in " + format_fixed(report.load_ms, 1) + " ms, first token after " +
                    format_fixed(report.first_token_ms, 1) + " ms (its prompt, warm: " +
                    format_fixed(report.warm_prompt_ms, 1) + " ms)\nresident: " + format_bytes(report.rss_bytes) +
                    ", of it at most " + format_bytes(report.weight_bytes) + " weights and " +
                    format_bytes(report.kv_bytes) + " pages\nlimits: " + format_fixed(report.read_gbps, 2) +
                    " GB/s read, " + format_fixed(report.dot_gops, 1) + " Gop/s int8 dot\n" +
                    "test      depth streams   tokens/s     +-  of read  of dot\n";
  for (const BenchRow &row : report.rows) {
    char line[160];
    snprintf(line, sizeof line, "%-8s %6lld %7lld %10.2f %6.2f %7.1f%% %6.1f%%\n", row.test.name().c_str(),
             static_cast<long long>(row.test.depth), static_cast<long long>(row.test.streams), row.mean, row.deviation,
             100 * part_of(row.mean * row.bytes, report.read_gbps), 100 * part_of(row.mean * row.ops, report.dot_gops));
    out += line;
  }
  return out;
}

} // namespace llmrt::tool
