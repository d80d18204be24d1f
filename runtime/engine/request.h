// What is asked of the engine and what comes back. Token ids only: the engine never sees text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace llmrt {

using RequestId = uint64_t;

// Applied to a row of logits in this order: bias, repetition penalty, presence and frequency penalties, DRY, min_tokens'
// ban of end ids, mask; then temperature 0 takes the largest (lowest id on a tie); else temperature, top_k, typical_p,
// min_p, top_p, XTC, and a draw from the request's own counter-based generator. With mirostat, temperature and it alone
// stand before the draw.
struct SamplingParams {
  float temperature = 1;
  float top_p = 1;
  int32_t top_k = -1; // -1 or 0: off
  float min_p = 0;
  float repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  float typical_p = 1;
  float dry_multiplier = 0, dry_base = 1.75f; // 0: off
  int32_t dry_allowed_length = 2, dry_penalty_last_n = -1; // -1: the whole text
  std::vector<int32_t> dry_breakers;                       // no repeat goes across these ids
  float xtc_probability = 0, xtc_threshold = 0.1f;         // 0: off; the threshold is at most 0.5
  int32_t mirostat = 0;                                    // 1 or 2; 0: off
  float mirostat_tau = 5, mirostat_eta = 0.1f;
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;
  int32_t logprobs = -1; // of each new token, with that many alternatives; -1: none
};

struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;
};

struct NewToken {
  int32_t id = 0;
  float logprob = 0;             // with SamplingParams::logprobs >= 0
  std::vector<TokenLogprob> top; // likewise, best first
  int32_t rank = 0;              // likewise: 1 + how many ids are more likely
};

enum class FinishReason { kNone, kStop, kLength, kCancelled, kError, kDeadline };

// Beam search instead of sampling (docs/sampling.md): the sampling parameters but for `logprobs` are not used. All
// beams share the prompt's pages; the answers come at the end, as events of the branches 0, 1, ..., best first.
struct BeamOptions {
  int32_t width = 0; // 0: no beam search
  float length_penalty = 1;
};

// How a prompt's hidden states become one vector: their mean, or that of the first or of the last token. The mean is one
// chain of additions in double precision, by position, so that it does not depend on chunks.
enum class Pooling { kNone, kMean, kCls, kLast };

// One event of a request: tokens that are new since the last one, or its end, or both.
struct Event {
  RequestId id = 0;
  int32_t branch = 0;              // which of RequestSpec::branches
  std::vector<NewToken> prompt;    // with prompt_logprobs: the prompt's tokens from the second on, in order
  std::vector<NewToken> tokens;
  FinishReason finish = FinishReason::kNone;
  std::string error;         // with kError
  std::vector<float> embedding; // with RequestSpec::pooling, in the last event: the pooled hidden states as they are
  int32_t cached_tokens = 0; // of the prompt, served from the prefix cache; known from the first event on
  uint64_t waited_ns = 0;    // from submit() to the first step that ran it; 0 if none did
};

// Called on the engine's thread; must not block and must not call the engine back, except for cancel().
using EventSink = std::function<void(Event &&)>;

// Logits of prompt rows [first, first + rows.size() / vocabulary): called on the engine's thread, in order of position.
using LogitsSink = std::function<void(int64_t first_position, std::span<const float> rows)>;

class TokenRules; // runtime/engine/token_rules.h

struct RequestSpec {
  std::vector<int32_t> prompt; // at least one id
  int32_t max_tokens = 16;     // 0: the prompt is run (for its logits) and nothing is sampled
  int32_t min_tokens = 0;
  // Answers to the one prompt, which share its pages until they write to them. The k-th draws as branch k of the seed
  // and has the id that submit() returned plus k.
  int32_t branches = 1;
  BeamOptions beams;
  std::vector<int32_t> stop_ids; // ends the request; the id is reported
  bool ignore_eos = false;       // the model's end ids do not stop
  uint64_t deadline_ns = 0;      // of os::monotonic_ns(): ends with kDeadline in the first step after it; 0: none
  int32_t priority = 0;          // lower runs first under --scheduling-policy priority
  std::string cache_salt;        // requests share pages only under the same salt
  SamplingParams sampling;
  std::shared_ptr<const TokenRules> rules; // null: any token may come; each branch follows them by itself
  // Log probabilities of the prompt's tokens with that many alternatives; -1: none. The prefix cache is not read then:
  // rows that it serves have no logits.
  int32_t prompt_logprobs = -1;
  // The prompt's hidden states instead of an answer: max_tokens must be 0. Mean and first do not read the prefix cache,
  // which has no hidden states. kUnsupported where Engine::hidden_width() is 0.
  Pooling pooling = Pooling::kNone;
  EventSink on_event;
  LogitsSink on_prompt_logits; // set: the logits of every prompt row that is computed (not of cached ones)
};

} // namespace llmrt
