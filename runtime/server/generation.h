// One HTTP request's generations: n choices for each of its prompts, each a request of the engine, from submit to the
// last byte of the answer. Lives on its connection's executor.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/generation_params.h"
#include "runtime/server/http.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llmrt::server {

// What is new of one choice.
struct Delta {
  int index = 0;
  std::string text;
  std::vector<NewToken> tokens; // filled when logprobs were asked for, or the format wants every token
  std::vector<NewToken> prompt; // an echoed prompt's tokens with logprobs; the first has none (NaN)
  size_t text_offset = 0;       // bytes of the choice's text before this delta
  std::vector<float> embedding; // with GenerationParams::pooling, as Event::embedding
  std::string finish_reason;    // empty: goes on
  Json stop_reason;             // the string or id that stopped it, else null
};

struct Usage {
  int64_t prompt = 0, completion = 0, cached = 0;
  double prompt_seconds = 0, decode_seconds = 0; // of the first choice: to its first token, from there to its last
};
Json usage_json(const Usage &usage);

// How an endpoint spells the answer. One object answers one request, so it may remember what it has said.
class AnswerFormat {
public:
  virtual ~AnswerFormat() = default;
  // The whole answer, from each choice's one delta. `prompt_logprobs`: of each prompt, null where not asked for.
  virtual Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &prompt_logprobs) = 0;

  // A stream's bytes, in this order. begin() is known to have `choices` choices and the prompts' tokens.
  virtual std::string begin(int choices, const Usage &usage) = 0;
  virtual std::string delta(const Delta &delta, const Usage &usage) = 0;
  virtual std::string end(const Usage &usage) = 0;
  // Where something fails in the middle of a stream; nothing follows.
  virtual std::string stream_error(const ApiError &error) = 0;
  virtual HttpResponse error(const ApiError &error) const { return error_response(error); }
  virtual const char *stream_type() const;

  // Deltas carry their tokens, and one is said for each token even if it adds no text.
  virtual bool wants_every_token() const { return false; }
  // As wants_every_token(), but deltas need not carry the tokens.
  virtual bool says_every_token() const { return wants_every_token(); }
};

// OpenAI's way: "data: {...}" events and [DONE].
class OpenAiFormat : public AnswerFormat {
public:
  OpenAiFormat(const Model &model, const char *object, std::string id, std::string model_name,
               const GenerationParams &params);
  std::string begin(int choices, const Usage &usage) override;
  std::string delta(const Delta &delta, const Usage &usage) override;
  std::string end(const Usage &usage) override;
  std::string stream_error(const ApiError &error) override;

protected:
  // Streamed before anything else of a choice; null: nothing.
  virtual Json opening(int) const { return nullptr; }
  virtual Json choice_of(const Delta &delta) const = 0; // a chunk's
  Json head(const char *object) const;

  const Model &model_;

private:
  Json chunk(Json choices) const;

  const char *object_;
  std::string id_, name_;
  int64_t created_;
  bool include_usage_, continuous_usage_;
};

struct GenerationRequest {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::string> echoes; // text put before each prompt's choices; empty: none
  GenerationParams params;
  std::shared_ptr<AnswerFormat> format;
};

// The request's JSON, a reader on it, the model's name checked. False: the client has been told, as `error` spells
// it.
struct OpenedBody {
  Json json;
  std::optional<FieldReader> fields;
};
using ErrorSpelling = HttpResponse (*)(const ApiError &);
bool open_body(const HttpRequest &http, const Model &model, ServerContext &context, const ReplyPtr &reply,
               OpenedBody &out, ErrorSpelling error = error_response);

class Generation : public std::enable_shared_from_this<Generation> {
public:
  Generation(ServerContext &context, const Model &model, ReplyPtr reply, GenerationRequest request);
  ~Generation();

  // Submits everything; on an error nothing is left running and the client has been told.
  void start();

private:
  using Clock = std::chrono::steady_clock;

  struct Prompt {
    RequestId id = 0; // of its first branch
    bool submitted = false;
    std::vector<NewToken> scored;
  };
  struct Choice {
    TextStream stream;
    Delta pending; // not sent yet
    size_t text_bytes = 0;
    double logprob_sum = 0;
    Clock::time_point first_token{}, last_token{};
    Clock::duration waited{}; // for its first step
    int64_t generated = 0, said = 0; // tokens; those that a stream's deltas stand for
    int32_t cached = 0;
    bool done = false, echoed = false;
  };

  size_t branches() const { return static_cast<size_t>(request_.params.best_of); } // choices of a prompt
  size_t prompt_of(const Choice &choice) const { return static_cast<size_t>(choice.pending.index) / branches(); }
  int scored_alternatives() const; // of prompt tokens; -1: they are not scored
  std::optional<ApiError> check_lengths() const;
  std::optional<ApiError> make_rules();
  Status submit_all();
  uint64_t deadline_ns() const;
  RequestSpec spec_for(size_t prompt);
  void cancel_choice(const Choice &choice);
  void add_echo(Choice &choice);
  void count_choice(const Choice &choice, FinishReason reason);
  void trace(bool failed) const;
  std::vector<Delta> best_deltas();
  Json prompt_logprobs() const;
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
  const ModelLease lease_; // goes last: what follows refers to the model
  const Model &model_;
  ReplyPtr reply_;
  GenerationRequest request_;
  std::vector<Prompt> prompts_;
  std::vector<Choice> choices_; // those of the first prompt, of the second, ...
  Clock::time_point arrival_ = Clock::now(), submitted_ = arrival_;
  size_t done_ = 0;
  bool begun_ = false; // a stream's head was sent
  bool over_ = false; // answered, failed or abandoned: later events are dropped
};

// {"content":[...]} of chat, or the four lists of completions; vLLM's list of prompt_logprobs.
Json chat_logprobs(const Model &model, const std::vector<NewToken> &tokens);
Json completion_logprobs(const Model &model, const Delta &delta);
Json prompt_logprobs_json(const Model &model, const std::vector<NewToken> &scored);
std::string text_of_token(const Model &model, int32_t id);

} // namespace llmrt::server
