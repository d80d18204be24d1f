// One HTTP request's generations: n choices for each of its prompts, each a request of the engine, from submit to the
// last byte of the answer. Lives on its connection's executor.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/generation_params.h"
#include "runtime/server/http.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace llmrt::server {

// What is new of one choice.
struct Delta {
  int index = 0;
  std::string text;
  std::vector<NewToken> tokens; // filled when logprobs were asked for
  size_t text_offset = 0;       // bytes of the choice's text before this delta
  std::string finish_reason;    // empty: goes on
  Json stop_reason;             // the string or id that stopped it, else null
};

struct Usage {
  int64_t prompt = 0, completion = 0, cached = 0;
};
Json usage_json(const Usage &usage);

// How an endpoint spells the answer.
class AnswerFormat {
public:
  virtual ~AnswerFormat() = default;
  // The whole answer, from each choice's one delta.
  virtual Json whole(const std::vector<Delta> &choices, const Usage &usage) const = 0;
  // Streamed before anything else of a choice; null: nothing.
  virtual Json opening(int index) const = 0;
  virtual Json chunk(const Delta &delta) const = 0;
  virtual Json usage_chunk(const Usage &usage) const = 0;
};

struct GenerationRequest {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::string> echoes; // text put before each prompt's choices; empty: none
  GenerationParams params;
  std::shared_ptr<const AnswerFormat> format;
};

class Generation : public std::enable_shared_from_this<Generation> {
public:
  Generation(ServerContext &context, const Model &model, ReplyPtr reply, GenerationRequest request);
  ~Generation();

  // Submits everything; on an error nothing is left running and the client has been told.
  void start();

private:
  using Clock = std::chrono::steady_clock;

  struct Choice {
    TextStream stream;
    Delta pending; // not sent yet
    RequestId id = 0;
    bool submitted = false;
    size_t text_bytes = 0;
    Clock::time_point first_token{}, last_token{};
    int64_t generated = 0;
    int32_t cached = 0;
    bool done = false;
  };

  std::optional<ApiError> check_lengths() const;
  Status submit_all();
  RequestSpec spec_for(int index);
  void on_event(int index, Event event, Clock::time_point when);
  void take_token(Choice &choice, NewToken token);
  void finish_choice(Choice &choice, FinishReason reason);
  void finish_all();
  void fail(const ApiError &error);
  void cancel();
  void flush(Choice &choice);
  bool is_stop_id(int32_t id) const;
  void count_token(Choice &choice, Clock::time_point when);
  Usage usage() const;

  ServerContext &context_;
  const Model &model_;
  ReplyPtr reply_;
  GenerationRequest request_;
  std::vector<Choice> choices_;
  Clock::time_point arrival_ = Clock::now();
  size_t done_ = 0;
  bool begun_ = false; // a stream's head was sent
  bool over_ = false; // answered, failed or abandoned: later events are dropped
};

// {"content":[...]} of chat, or the four lists of completions.
Json chat_logprobs(const Model &model, const std::vector<NewToken> &tokens);
Json completion_logprobs(const Model &model, const std::vector<NewToken> &tokens, size_t text_offset);

} // namespace llmrt::server
