// An engine without a model, for tests of what stands around one: a request's tokens are its prompt's bytes over and
// over, one a step.
#pragma once

#include "runtime/engine/engine.h"
#include "runtime/session/model.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace llmrt::testing {

struct FakeEngineOptions {
  int64_t max_model_len = 256, max_queue = 1024;
  std::chrono::microseconds step_time{0};
  int64_t hidden_width = 4; // of embeddings: the prompt's first ids
  int32_t fail_at_token = -1; // every request fails after that many tokens
};

class FakeEngine : public Engine {
public:
  explicit FakeEngine(FakeEngineOptions options) : options_(options) {}

  const Limits &limits() const override { return limits_; }
  int64_t max_model_len() const override { return options_.max_model_len; }
  int64_t hidden_width() const override { return options_.hidden_width; }
  Result<RequestId> submit(RequestSpec spec) override;
  void cancel(RequestId id) override;
  Result<bool> step() override;
  Status run() override;
  void stop(bool drain) override;
  EngineStats stats() const override;
  Status check_integrity() const override { return ok_status(); }

  uint64_t cancelled() const { return cancelled_.load(); }

private:
  struct Running {
    RequestSpec spec;
    int32_t branch = 0;
    int32_t made = 0;
    std::shared_ptr<TokenMatch> match; // of the spec's rules
  };
  static bool follow(Running &running, int32_t &id, FinishReason &finish, std::string &error);
  static void score_prompt(const RequestSpec &spec, Event &event);
  // False when the request has ended.
  bool advance(RequestId id, Running &running);

  FakeEngineOptions options_;
  Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, Running> running_;
  RequestId next_id_ = 1;
  uint64_t prompt_tokens_ = 0, generation_tokens_ = 0;
  std::atomic<uint64_t> cancelled_{0};
  bool stopping_ = false, draining_ = false;
};

// A model named "fake" with a byte tokenizer, a template that lists "role: content;" and this engine.
std::unique_ptr<Model> fake_model(FakeEngineOptions options = {});
FakeEngine &engine_of(Model &model);

} // namespace llmrt::testing
