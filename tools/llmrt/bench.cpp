// llmrt bench FILE -t 2 -p 512 -n 128 -d 0,4096 -s 1,8 -r 5
#include "runtime/artifact/features.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/cpu/limits.h"
#include "runtime/schema/artifact_generated.h"
#include "tools/llmrt/bench_report.h"
#include "tools/llmrt/bench_run.h"
#include "tools/llmrt/bench_work.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/progress.h"
#include "tools/llmrt/verbs.h"

#include <algorithm>
#include <cmath>

namespace llmrt::tool {

namespace {

struct BenchFlags {
  ModelFlags model;
  std::vector<int64_t> prompts = {512}, tokens = {128}, depths = {0}, streams = {1};
  int64_t repeat = 5;
  bool profile = false;
  std::string trace; // a file, or empty
};

constexpr size_t kTraceSpans = 1 << 17; // 24 bytes each: some thousand steps of a small model

int64_t largest(const std::vector<int64_t> &values) { return *std::max_element(values.begin(), values.end()); }

std::vector<BenchTest> tests_of(const BenchFlags &flags) {
  std::vector<BenchTest> out;
  for (int64_t depth : flags.depths) {
    for (int64_t tokens : flags.prompts)
      if (tokens > 0)
        out.push_back({true, tokens, depth, 1});
    for (int64_t streams : flags.streams)
      for (int64_t tokens : flags.tokens)
        if (tokens > 0)
          out.push_back({false, tokens, depth, streams});
  }
  return out;
}

std::string check(const BenchFlags &flags) {
  auto within = [](const std::vector<int64_t> &values, int64_t least, int64_t most) {
    return !values.empty() && std::all_of(values.begin(), values.end(),
                                          [=](int64_t value) { return value >= least && value <= most; });
  };
  if (!within(flags.prompts, 0, 1 << 24) || !within(flags.tokens, 0, 1 << 24) || !within(flags.depths, 0, 1 << 24))
    return "-p, -n and -d take lengths from 0 to 16777216";
  if (!within(flags.streams, 1, 4096))
    return "-s takes numbers of streams from 1 to 4096";
  if (flags.repeat < 1 || flags.repeat > 10000)
    return "-r must be from 1 to 10000";
  return {};
}

ModelOptions engine_for(const BenchFlags &flags, ModelOptions options) {
  EngineOptions &engine = options.engine;
  int64_t streams = largest(flags.streams), depth = largest(flags.depths);
  if (engine.max_num_seqs == 0)
    engine.max_num_seqs = streams;
  if (engine.max_model_len == 0)
    engine.max_model_len =
        std::max(kFirstTokenPrompt + 1,
                 depth + std::max(largest(flags.prompts) + 1, largest(flags.tokens) + 1 + decode_slack(depth, streams)));
  engine.max_queue_tokens = std::max<int64_t>(streams * (depth + 1), 1 << 20);
  return options;
}

// The least bytes and operations a token, by the program's own weights.
void add_work(const StepWork &work, const Model &model, BenchRow &row) {
  const BenchTest &test = row.test;
  double tokens = static_cast<double>(test.tokens);
  if (test.prompt) {
    int64_t budget = model.engine->limits().tokens;
    double bytes = 0;
    for (int64_t at = 0; at < test.tokens; at += budget)
      bytes += work.weight_bytes + work.kv_bytes_at(test.depth + std::min(at + budget, test.tokens) - 1);
    row.bytes = bytes / tokens;
    row.ops = work.token_ops + work.row_ops / tokens;
    return;
  }
  double kv = 0;
  for (int64_t i = 0; i < test.tokens; ++i)
    kv += work.kv_bytes_at(std::max<int64_t>(test.depth, 1) + i);
  row.bytes = work.weight_bytes / static_cast<double>(test.streams) + kv / tokens;
  row.ops = work.token_ops + work.row_ops;
}

Result<BenchRow> measure(BenchRunner &runner, const BenchTest &test, int64_t repeat, ProfiledSteps &last) {
  auto once = [&] {
    return test.prompt ? runner.prompt(test.tokens, test.depth) : runner.decode(test.tokens, test.depth, test.streams);
  };
  BenchRow row;
  row.test = test;
  if (Result<Sample> warm = once(); !warm.ok())
    return warm.status();
  std::vector<double> rates;
  for (int64_t i = 0; i < repeat; ++i) {
    Result<Sample> sample = once();
    if (!sample.ok())
      return sample.status();
    rates.push_back(sample->rate());
    row.mean += rates.back() / static_cast<double>(repeat);
    last = {std::move(sample->profile), sample->seconds};
  }
  for (double rate : rates)
    row.deviation += (rate - row.mean) * (rate - row.mean);
  row.deviation = repeat > 1 ? std::sqrt(row.deviation / static_cast<double>(repeat - 1)) : 0;
  return row;
}

Status measure_limits(const Model &model, BenchReport &report) {
  uint64_t features = 0;
  for (const TierName &tier : known_tiers())
    if (tier.name == model.cpu_tier)
      features = tier.features;
  Result<double> read = measure_read_gbps(model.threads);
  if (!read.ok())
    return read.status();
  Result<double> dot = measure_dot_gops(model.threads, features);
  if (!dot.ok())
    return dot.status();
  report.read_gbps = *read;
  report.dot_gops = *dot;
  return ok_status();
}

int run_tests(const BenchFlags &flags, Model &model, CpuProfile *profile, BenchReport &report) {
  const std::string_view device = model.device; // "cuda NVIDIA H200"
  StepWork work = step_work(*model.artifact, device.substr(0, device.find(' ')));
  BenchRunner runner(model, profile);
  std::vector<BenchTest> tests = tests_of(flags);
  Progress progress("bench", static_cast<double>(tests.size()), flags.model.quiet);
  for (const BenchTest &test : tests) {
    progress.show(static_cast<double>(report.rows.size()), test.name());
    uint64_t preemptions = model.engine->stats().preemptions;
    ProfiledSteps steps;
    Result<BenchRow> row = measure(runner, test, flags.repeat, steps);
    if (!row.ok())
      return interrupted() ? kInterrupted : fail(row.status());
    if (model.engine->stats().preemptions > preemptions)
      fprintf(stderr, "llmrt: %s: requests were preempted for want of pages; give more --kv-cache-memory-bytes\n",
              test.name().c_str());
    add_work(work, model, *row);
    report.rows.push_back(std::move(*row));
    report.profiles.push_back(std::move(steps));
  }
  return kOk;
}

// What may be resident however small the program is.
void note_sizes(const Model &model, BenchReport &report) {
  const schema::Artifact &meta = model.artifact->meta();
  for (uint32_t i = 0; i < count_of(meta.weights()); ++i)
    report.weight_bytes += meta.weights()->Get(i)->bytes();
  const Limits &limits = model.engine->limits();
  for (uint32_t i = 0; i < count_of(meta.cache_groups()); ++i) {
    const schema::CacheGroup &group = *meta.cache_groups()->Get(i);
    report.kv_bytes += uint64_t(limits.pages[i]) * group.bytes_per_page_layer() * group.layers();
  }
}

// The first token's time from the start of the program, and what such a prompt takes later: the median of five.
Status first_tokens(Model &model, uint64_t start, BenchReport &report) {
  BenchRunner runner(model);
  std::vector<double> later;
  for (int i = 0; i < 6; ++i) {
    Result<Sample> sample = runner.prompt(kFirstTokenPrompt, 0);
    if (!sample.ok())
      return sample.status();
    if (i == 0)
      report.first_token_ms = static_cast<double>(os::monotonic_ns() - start) / 1e6;
    else
      later.push_back(sample->seconds * 1e3);
  }
  std::sort(later.begin(), later.end());
  report.warm_prompt_ms = later[later.size() / 2];
  return ok_status();
}

int bench(const BenchFlags &flags) {
  uint64_t start = os::monotonic_ns();
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  if (std::string wrong = check(flags); !wrong.empty())
    return usage(wrong);
  ModelOptions sized = engine_for(flags, *options);
  if (flags.model.print_memory)
    return print_memory(sized, flags.model.json, 0);
  catch_interrupts();
  CpuProfile profile;
  profile.span_limit = flags.trace.empty() ? 0 : kTraceSpans;
  const bool profiled = flags.profile || !flags.trace.empty();
  if (profiled)
    sized.profile = &profile;
  std::unique_ptr<Model> model;
  if (int code = open_model(sized, &model); code != kOk)
    return code;
  BenchReport report;
  report.load_ms = model->load_ms;
  note_sizes(*model, report);
  if (Status status = first_tokens(*model, start, report); !status.ok())
    return interrupted() ? kInterrupted : fail(status);
  if (int code = run_tests(flags, *model, profiled ? &profile : nullptr, report); code != kOk)
    return code;
  report.rss_bytes = os::peak_rss_bytes(); // before the limits, whose blocks are larger than the caches
  if (Status status = measure_limits(*model, report); !status.ok())
    return fail(status);
  for (size_t i = 0; flags.profile && i < report.rows.size(); ++i) {
    const BenchTest &test = report.rows[i].test;
    fprintf(stderr, "\n%s, depth %lld, streams %lld\n%s", test.name().c_str(), static_cast<long long>(test.depth),
            static_cast<long long>(test.streams),
            profile_table(*model->artifact, report.profiles[i], report.read_gbps, report.dot_gops).c_str());
  }
  if (!flags.trace.empty())
    if (Status status = write_trace(*model->artifact, profile, flags.trace); !status.ok())
      return fail(status);
  return print(flags.model.json ? bench_json(*model, report) : bench_table(*model, report)) && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_bench(Flags &flags) {
  auto to = std::make_shared<BenchFlags>();
  add_model_flags(flags, to->model);
  flags.integers("-p,--prompt-tokens", to->prompts, "lengths of prompts to time; 0: none");
  flags.integers("-n,--new-tokens", to->tokens, "numbers of decoded tokens to time; 0: none");
  flags.integers("-d,--depth", to->depths, "tokens that stand before what is timed");
  flags.integers("-s,--streams", to->streams, "requests at once, when decoding");
  flags.integer("-r,--repeat", to->repeat, "measurements of each, after one that is not counted");
  flags.flag("--profile", to->profile, "time every dispatch, on stderr");
  flags.text("--trace", to->trace, "write the dispatches as they ran to FILE, for chrome://tracing or Perfetto");
  add_report_flags(flags, to->model, "one JSON object");
  return [to] { return bench(*to); };
}

} // namespace llmrt::tool
