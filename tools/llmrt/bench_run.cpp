#include "tools/llmrt/bench_run.h"

#include "runtime/base/os.h"
#include "tools/llmrt/common.h"

#include <algorithm>

namespace llmrt::tool {

std::vector<int32_t> random_ids(uint64_t seed, int64_t count, int64_t vocabulary) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    // splitmix64 (Steele, Lea, Flood 2014)
    uint64_t z = (seed << 32) + i * 0x9E3779B97F4A7C15ull + 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    out[i] = static_cast<int32_t>((z ^ (z >> 31)) % static_cast<uint64_t>(vocabulary));
  }
  return out;
}

int64_t decode_slack(int64_t depth, int64_t streams) { return 16 + 2 * streams + streams * (depth / 32 + 1); }

Status BenchRunner::submit(std::vector<int32_t> prompt, int64_t max_tokens, Stream &stream) {
  RequestSpec spec;
  spec.prompt = std::move(prompt);
  spec.max_tokens = static_cast<int32_t>(max_tokens);
  spec.ignore_eos = true;
  spec.sampling.temperature = 0;
  spec.on_event = [this, &stream](Event &&event) {
    stream.made += static_cast<int64_t>(event.tokens.size());
    stream.cached = std::max<int64_t>(stream.cached, event.cached_tokens);
    stream.done = stream.done || event.finish != FinishReason::kNone;
    if (event.finish == FinishReason::kError)
      error_ = event.error;
  };
  Result<RequestId> id = model_.engine->submit(std::move(spec));
  if (!id.ok())
    return id.status();
  stream.id = *id;
  return ok_status();
}

Status BenchRunner::step() {
  if (interrupted())
    return Status(StatusCode::kCancelled, "interrupted");
  Result<bool> stepped = model_.engine->step();
  if (!stepped.ok())
    return stepped.status();
  if (!error_.empty())
    return Status(StatusCode::kInternal, error_);
  return *stepped ? ok_status() : Status(StatusCode::kInternal, "the engine has nothing to do");
}

// Cancels what runs; afterwards no sink refers to `streams` any more.
Status BenchRunner::finish(std::vector<Stream> &streams) {
  for (Stream &stream : streams)
    if (!stream.done && stream.id)
      model_.engine->cancel(stream.id);
  for (;;) {
    Result<bool> stepped = model_.engine->step();
    if (!stepped.ok())
      return stepped.status();
    if (!*stepped)
      return ok_status();
  }
}

uint64_t BenchRunner::start_timing() {
  if (profile_)
    profile_->reset();
  return os::monotonic_ns();
}

void BenchRunner::stop_timing(uint64_t start, Sample &sample) {
  sample.seconds = static_cast<double>(os::monotonic_ns() - start) / 1e9;
  if (profile_)
    sample.profile = *profile_;
}

Result<Sample> BenchRunner::prompt(int64_t tokens, int64_t depth) {
  std::vector<int32_t> ids = random_ids(1, depth, model_.vocabulary);
  std::vector<Stream> streams(2); // what comes before, then what is measured
  Status status;
  if (depth > 0) {
    status = submit(ids, 0, streams[0]);
    while (status.ok() && !streams[0].done)
      status = step();
  }
  std::vector<int32_t> fresh = random_ids(next_seed_++, tokens, model_.vocabulary);
  ids.insert(ids.end(), fresh.begin(), fresh.end());
  Sample sample;
  if (status.ok()) {
    uint64_t start = start_timing();
    status = submit(std::move(ids), 1, streams[1]);
    while (status.ok() && streams[1].made == 0)
      status = step();
    stop_timing(start, sample);
    // What was computed: a page that was not whole is computed again, and counts.
    sample.tokens = static_cast<double>(tokens + depth - streams[1].cached);
  }
  Status finished = finish(streams);
  if (!status.ok() || !finished.ok())
    return status.ok() ? finished : status;
  return sample;
}

Result<Sample> BenchRunner::decode(int64_t tokens, int64_t depth, int64_t count) {
  std::vector<Stream> streams(static_cast<size_t>(count));
  Status status;
  auto made = [&streams] {
    int64_t sum = 0;
    for (const Stream &stream : streams)
      sum += stream.made;
    return sum;
  };
  for (size_t i = 0; i < streams.size() && status.ok(); ++i)
    status = submit(random_ids(2 + i, std::max<int64_t>(depth, 1), model_.vocabulary),
                    tokens + decode_slack(depth, count), streams[i]);
  auto all_started = [&streams] {
    return std::all_of(streams.begin(), streams.end(), [](const Stream &stream) { return stream.made > 0; });
  };
  while (status.ok() && !all_started())
    status = step();
  Sample sample;
  int64_t before = made();
  uint64_t start = start_timing();
  for (int64_t i = 0; i < tokens && status.ok(); ++i)
    status = step();
  stop_timing(start, sample);
  sample.tokens = static_cast<double>(made() - before);
  Status finished = finish(streams);
  if (!status.ok() || !finished.ok())
    return status.ok() ? finished : status;
  return sample;
}

} // namespace llmrt::tool
