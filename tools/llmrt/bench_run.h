// The measurements themselves: prompts and decoding, timed around the engine's steps.
#pragma once

#include "runtime/device/cpu/cpu_profile.h"
#include "runtime/session/model.h"

#include <cstdint>
#include <vector>

namespace llmrt::tool {

// Token ids from a counter generator: the same for the same seed.
std::vector<int32_t> random_ids(uint64_t seed, int64_t count, int64_t vocabulary);

struct Sample {
  double tokens = 0, seconds = 0;
  CpuProfile profile; // of what was timed
  double rate() const { return tokens / seconds; }
};

class BenchRunner {
public:
  // `profile`: the device's, or null; what is timed starts it anew.
  explicit BenchRunner(Model &model, CpuProfile *profile = nullptr) : model_(model), profile_(profile) {}

  // A prompt of `tokens` after `depth` tokens that are in the cache already, up to its first new token.
  Result<Sample> prompt(int64_t tokens, int64_t depth);
  // `tokens` steps of `streams` requests, each with `depth` tokens before them; all streams' tokens are counted.
  Result<Sample> decode(int64_t tokens, int64_t depth, int64_t streams);

private:
  struct Stream {
    RequestId id = 0;
    int64_t made = 0, cached = 0;
    bool done = false;
  };
  Status submit(std::vector<int32_t> prompt, int64_t max_tokens, Stream &stream);
  Status step();
  Status finish(std::vector<Stream> &streams);
  uint64_t start_timing();
  void stop_timing(uint64_t start, Sample &sample);

  Model &model_;
  CpuProfile *profile_;
  std::string error_;
  uint64_t next_seed_ = 1 << 20;
};

// Tokens that decode() may make beside those it counts, while other streams' prompts are still run.
int64_t decode_slack(int64_t depth, int64_t streams);

} // namespace llmrt::tool
